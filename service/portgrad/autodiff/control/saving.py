"""How the reverse of a Loop or Scan gets at the state that each iteration started from.

    a stack      of a tensor that keeps its shape: one more slice on each iteration
    a list       of a tensor that may change it: a sequence that grows by one on each iteration
    a long list  of a sequence: the elements of all iterations in one sequence, with the place
                 where those of each iteration begin, and their number; likewise what an
                 optional holds

The reverse body is written first, with values that nothing computes yet. The forward node is then
rebuilt to compute those that it reads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import onnx_ir as ir

from portgrad.autodiff.infer import Dims, as_shape
from portgrad.autodiff.tensor import Tensor, dtype_of
from portgrad.autodiff.vocabulary import Vocabulary


class Rebuilt:
    """A Loop or Scan that is to give out more than the net asks for.

    Args:
        op: the emitter of the graph around it.
        node: the node, which a new one replaces in `finish`, with the same outputs and more.
        counts: whether its body takes the number of the iteration and a condition.
        states: how many states it has.
    """

    def __init__(self, op: Vocabulary, node: ir.Node, *, counts: bool, states: int) -> None:
        self.op, self._node, self._counts, self._states = op, node, counts, states
        self.body = node.attributes["body"].as_graph()
        self._inner = Vocabulary(self.body, op.opset, op.fresh)
        self._name_all_outputs()
        self._inputs, self._outputs = list(node.inputs), list(node.outputs)
        self._before: list[ir.Node] = []
        self._slices = 0

    def stack(self, x: Callable[[Vocabulary], Tensor], stacked: ir.Value) -> None:
        """Give out a slice of a stack on each iteration."""
        self.body.outputs.append(self._result(x(self._inner)))
        self._outputs.append(stacked)
        self._slices += 1

    def grow(self, last: ir.Value, step: Callable[[Vocabulary, Tensor], Tensor]) -> Tensor:
        """Let a sequence grow from nothing; it as it is inside, at the start of an iteration."""
        empty = ir.Node("", "SequenceEmpty", [], [ir.AttrInt64("dtype", int(dtype_of(last)))])
        empty.name = empty.outputs[0].name = self.op.fresh("empty")
        empty.outputs[0].type = last.type
        self._before.append(empty)
        inside = ir.Value(name=self.op.fresh("grown"), type=last.type)
        self.body.inputs.append(inside)
        after = step(self._inner, self._inner.wrap(inside))
        self.body.outputs.insert(self._counts + self._states, self._result(after))
        self._inputs.append(empty.outputs[0])
        self._outputs.insert(self._states, last)
        self._states += 1
        return self._inner.wrap(inside)

    def finish(self) -> None:
        """Put the new node in the place of the old one."""
        node = self._node
        graph = node.graph
        assert graph is not None
        for name in ("scan_output_axes", "scan_output_directions"):
            if name in node.attributes:
                ways = [*node.attributes[name].as_ints(), *[0] * self._slices]
                node.attributes[name] = ir.AttrInt64s(name, ways)
        # An output leaves its node only while nobody uses it.
        uses = [(use.node, use.idx, v) for v in node.outputs for use in v.uses()]
        for user, index, _ in uses:
            user.replace_input_with(index, None)
        node.resize_outputs(0)
        graph.insert_before(node, self._before)
        attributes = list(node.attributes.values())
        new = ir.Node("", node.op_type, self._inputs, attributes, outputs=self._outputs)
        new.name = node.name
        graph.insert_before(node, new)
        graph.remove(node, safe=True)
        for user, index, value in uses:
            user.replace_input_with(index, value)

    def _result(self, x: Tensor) -> ir.Value:
        return self._inner.alias(x, self.op.fresh("start"))

    def _name_all_outputs(self) -> None:
        """Outputs that the net leaves out, since more are to follow."""
        node, inside = self._node, list(self.body.outputs)[int(self._counts) :]
        if len(node.outputs) < len(inside):
            node.resize_outputs(len(inside))
        for value, result in zip(node.outputs, inside, strict=True):
            if not value.name:
                value.name, value.type = self.op.fresh("unused"), result.type


class Kept(ABC):
    """Something that has a value in each iteration, in one of the ways above."""

    @abstractmethod
    def read(self, op: Vocabulary, at: Tensor) -> Tensor:
        """What it was in iteration `at`, computed in the reverse body."""

    @abstractmethod
    def write(self, forward: Rebuilt) -> None:
        """Let the forward node give out what was read."""


class Stack(Kept):
    """A tensor inside a body, of one shape in all iterations."""

    def __init__(self, op: Vocabulary, inside: ir.Value, shape: Dims | None) -> None:
        self._inside = inside
        self.stacked = ir.Value(name=op.fresh("starts"), type=inside.type)
        if shape is not None:
            self.stacked.shape = ir.Shape([None, *shape])

    def read(self, op: Vocabulary, at: Tensor) -> Tensor:
        """The slice of an iteration."""
        return op.Gather(op.wrap(self.stacked), at, axis=0)

    def write(self, forward: Rebuilt) -> None:
        """One more output of the body."""
        if _is_read(self.stacked):
            forward.stack(lambda inner: inner.wrap(self._inside), self.stacked)


class List(Kept):
    """A tensor inside a body whose shape may change from iteration to iteration."""

    def __init__(self, op: Vocabulary, inside: ir.Value, shape: Dims | None) -> None:
        self._inside, self._shape = inside, shape
        kind = ir.SequenceType(ir.TensorType(dtype_of(inside)))
        self._list = ir.Value(name=op.fresh("starts"), type=kind)

    def read(self, op: Vocabulary, at: Tensor) -> Tensor:
        """The element of an iteration."""
        start = op.SequenceAt(op.wrap(self._list), at)
        start.value.shape = as_shape(self._shape)
        return start

    def write(self, forward: Rebuilt) -> None:
        """One more state, which grows by one element."""
        if _is_read(self._list):
            forward.grow(
                self._list, lambda inner, made: inner.SequenceInsert(made, inner.wrap(self._inside))
            )


class LongList(Kept):
    """A sequence inside a body."""

    def __init__(self, op: Vocabulary, inside: ir.Value) -> None:
        self._inside = inside
        self._list = ir.Value(name=op.fresh("starts"), type=inside.type)
        count = ir.Value(type=ir.TensorType(ir.DataType.INT64))
        self._begin, self._count = Stack(op, count, []), Stack(op, count, [])

    def read(self, op: Vocabulary, at: Tensor) -> Tensor:
        """The elements of an iteration."""
        begin, count = self._begin.read(op, at), self._count.read(op, at)
        return op.stretch(op.wrap(self._list), begin, count)

    def write(self, forward: Rebuilt) -> None:
        """One more state, which grows by the elements of the sequence, and two numbers."""
        if not _is_read(self._list):
            return
        grown = forward.grow(
            self._list, lambda inner, made: inner.extend(made, inner.wrap(self._inside))
        )
        forward.stack(lambda inner: inner.SequenceLength(grown), self._begin.stacked)
        forward.stack(
            lambda inner: inner.SequenceLength(inner.wrap(self._inside)), self._count.stacked
        )


class Optional(Kept):
    """An optional inside a body: a long list of what is there, and whether anything is."""

    def __init__(self, op: Vocabulary, inside: ir.Value, kind: ir.OptionalType) -> None:
        self._inside, self._kind = inside, kind
        element = kind.elem_type
        self._of_tensors = isinstance(element, ir.TensorType)
        listed = ir.SequenceType(element) if self._of_tensors else element
        self._list = ir.Value(name=op.fresh("starts"), type=listed)
        count = ir.Value(type=ir.TensorType(ir.DataType.INT64))
        self._begin, self._count = Stack(op, count, []), Stack(op, count, [])
        self._there = Stack(op, ir.Value(type=ir.TensorType(ir.DataType.BOOL)), [])

    def read(self, op: Vocabulary, at: Tensor) -> Tensor:
        """The optional of an iteration."""
        begin, count = self._begin.read(op, at), self._count.read(op, at)
        everything = op.wrap(self._list)

        def present(op: Vocabulary) -> list[Tensor]:
            if self._of_tensors:
                return [op.Optional(op.SequenceAt(everything, begin))]
            return [op.Optional(op.stretch(everything, begin, count))]

        return op.branch(self._there.read(op, at), present, self._absent)[0]

    def _absent(self, op: Vocabulary) -> list[Tensor]:
        kind = ir.AttrTypeProto("type", ir.TypeAndShape(self._kind.elem_type, None))
        return op.call("Optional", [], {"type": kind}, [ir.Value(type=self._kind)])

    def write(self, forward: Rebuilt) -> None:
        """One more state, which grows by what is there, and three numbers."""
        if not _is_read(self._list):
            return
        grown = forward.grow(self._list, self._grown)
        forward.stack(lambda inner: inner.SequenceLength(grown), self._begin.stacked)
        forward.stack(self._counted, self._count.stacked)
        forward.stack(
            lambda inner: inner.OptionalHasElement(inner.wrap(self._inside)), self._there.stacked
        )

    def _grown(self, op: Vocabulary, made: Tensor) -> Tensor:
        inside = op.wrap(self._inside)

        def longer(op: Vocabulary) -> list[Tensor]:
            element = op.OptionalGetElement(inside)
            if self._of_tensors:
                return [op.SequenceInsert(made, element)]
            return [op.extend(made, element)]

        return op.branch(op.OptionalHasElement(inside), longer, lambda op: [op.Identity(made)])[0]

    def _counted(self, op: Vocabulary) -> Tensor:
        inside = op.wrap(self._inside)

        def length(op: Vocabulary) -> list[Tensor]:
            if self._of_tensors:
                return [op.Identity(op.index(1))]
            return [op.SequenceLength(op.OptionalGetElement(inside))]

        there = op.OptionalHasElement(inside)
        [count] = op.branch(there, length, lambda op: [op.Identity(op.index(0))])
        return count


def keep(op: Vocabulary, inside: ir.Value, shape: Dims | None, *, steady: bool) -> Kept:
    """The way to keep a state that is a body's input."""
    if isinstance(inside.type, ir.SequenceType):
        return LongList(op, inside)
    if isinstance(inside.type, ir.OptionalType):
        return Optional(op, inside, inside.type)
    return Stack(op, inside, shape) if steady else List(op, inside, shape)


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses())
