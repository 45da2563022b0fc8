"""Where examples lie: which values belong to an example, and values with the examples in front.

A value of the examples' own has its batch on some axis. In *front form* it is (N, *shape), with the
shape of a single example's value, a 1 for its batch among it. What all examples share has a
stand-in of that form: every example's copy of it. Rules read the shape of a stand-in, hardly ever
its elements, so that no copies are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from portgrad.autodiff.nesting import captures
from portgrad.autodiff.tensor import Dim, Tensor
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.autodiff.vocabulary.shapes import Size
from portgrad.graph.batch.states import Along
from portgrad.graph.batching import Axes


class NotApart(Exception):
    """The gradients of the examples cannot be had from one run; the message says why.

    Not for users: each example may have a run of its own.
    """


class Layout:
    """The examples of a graph that takes a batch.

    Args:
        op: the emitter of the graph.
        axes: where each value has its examples, by name.
        known: the names of all values that `axes` speaks of; others were made from them.
    """

    def __init__(self, op: Vocabulary, axes: Axes, known: Iterable[str]) -> None:
        self.op = op
        name, port = next((str(v.name), op.wrap(v)) for v in op.graph.inputs if v.name in axes)
        self._axes = axes
        self._size, self._symbol = op.dims(port)[axes[name]], (port.shape or ())[axes[name]]
        self._own, self._touched = _owned(op.graph, axes, set(known))
        self._stand_ins: dict[ir.Value, tuple[Tensor, Tensor]] = {}

    def own(self, value: ir.Value) -> bool:
        """Whether each example has a value of its own."""
        return value in self._own

    def sized(self, value: ir.Value) -> bool:
        """Whether a value is computed from sizes, the number of examples perhaps among them."""
        return value in self._touched and value not in self._own

    def plain(self, value: ir.Value) -> bool:
        """Whether a value's axis of examples is all theirs."""
        return value.name in self._axes

    def front(self, x: Tensor, like: ir.Value) -> Tensor:
        """A value of the examples' own, or its cotangent, in front form.

        Args:
            x: the value.
            like: a value of the graph that has its batch on the same axis.
        """
        axis, packed = self._axes.get(str(like.name)), self._axes.packed.get(str(like.name))
        if packed is not None:
            return self._unpacked(x, packed)
        if axis is None or x.shape is None:
            raise NotApart(f"it is not known where the examples lie in {like.name!r}")
        sizes = [size for at, size in enumerate(x.shape) if at != axis]
        whole = self.op.Unsqueeze(self._first(x, axis), [axis + 1])
        sizes.insert(axis, 1)
        return self._known(whole, sizes)

    def _unpacked(self, x: Tensor, at: Along) -> Tensor:
        """The same of a value whose axis of examples is (outer, batch, block)."""
        op, axis, sizes = self.op, at.axis, self.op.dims(x)
        whole = op.quotient(sizes[axis], self._size)
        outer, block = (part.number if not part.symbols else None for part in (at.outer, at.block))
        if outer is None and block is None:
            raise NotApart("the examples lie among sizes that are not known")
        around = [whole if n is None else n for n in (outer, block)]
        if outer is None:
            around[0] = op.quotient(whole, around[1])
        elif block is None:
            around[1] = op.quotient(whole, around[0])
        apart = op.reshape(x, [*sizes[:axis], around[0], self._size, around[1], *sizes[axis + 1 :]])
        size = at.single if isinstance(at.single, int) else whole
        single = [*sizes[:axis], size, *sizes[axis + 1 :]]
        known = [part if isinstance(part, int) else None for part in single]
        return self._known(op.reshape(self._first(apart, axis + 1), [self._size, *single]), known)

    def _first(self, x: Tensor, axis: int) -> Tensor:
        rest = (at for at in range(self.op.rank(x)) if at != axis)
        return self.op.Transpose(x, perm=[axis, *rest]) if axis else x

    def _known(self, front: Tensor, sizes: Sequence[Dim]) -> Tensor:
        front.value.shape = ir.Shape([self._symbol, *sizes])
        return front

    def lifted(self, x: Tensor, rank: int | None = None) -> Tensor:
        """The stand-in of what all examples share, with axes of size 1 up to a rank of each."""
        lead = 0 if rank is None else rank - self.op.rank(x)
        narrow = self.op.unsqueeze(x, *range(lead + 1))
        sizes = [self._size, *([1] * lead), *self.op.dims(x)]
        return self._expanded(narrow, sizes)

    def aligned(self, front: Tensor, rank: int) -> Tensor:
        """A value in front form with axes of size 1 after its first, up to a rank of each."""
        return self.op.unsqueeze(front, *range(1, rank - self.op.rank(front) + 2))

    def of_shared(self, ct: Tensor, value: ir.Value) -> Tensor:
        """A cotangent for each example in the shape of a shared value: axes of size 1 go, come."""
        like = self.lifted(self.op.wrap(value))
        if ct.shape == like.shape and None not in (ct.shape or (None,)):
            return ct
        whole = self.op.reshape(ct, [self._size, *self.op.dims(self.op.wrap(value))])
        return self.op.shaped_as(whole, like)

    def close(self) -> None:
        """Let what asks for the shape of a stand-in read it where it was made."""
        for stand_in, sizes in self._stand_ins.values():
            for usage in list(stand_in.value.uses()):
                if usage.node.op_type == "Shape":
                    self._answer(usage.node, sizes)

    def _expanded(self, narrow: Tensor, sizes: list[Size]) -> Tensor:
        if narrow.value not in self._stand_ins:
            target = self.op.vector(sizes)
            wide = self.op.Expand(narrow, target)
            known = list(narrow.shape or ())
            wide.value.shape = ir.Shape([self._symbol, *known[1:]])
            self._stand_ins[narrow.value] = wide, target
        return self._stand_ins[narrow.value][0]

    def _answer(self, asking: ir.Node, sizes: Tensor) -> None:
        start, end = (asking.attributes.get(name) for name in ("start", "end"))
        first = self.op.ints(0 if start is None else start.as_int())
        last = self.op.ints(2**31 - 1 if end is None else end.as_int())
        part = ir.node("Slice", [sizes.value, first.value, last.value], name=f"{asking.name}_known")
        old, new = asking.outputs[0], part.outputs[0]
        new.name, new.type, new.shape = f"{old.name}_known", old.type, old.shape
        self.op.graph.insert_before(asking, part)
        ir.convenience.replace_all_uses_with(old, new)


def _owned(graph: ir.Graph, axes: Axes, known: set[str]) -> tuple[set[ir.Value], set[ir.Value]]:
    """The values of the examples' own, and all values that are computed from such.

    Of a value that nothing is known of, each example has its own if it is computed from one.
    """
    placed = axes.keys() | axes.packed.keys()
    own = {value for value in graph.inputs if value.name in placed}
    touched = set(own)
    for node in graph:
        if any(value in touched for value in (*node.inputs, *captures(node))):
            touched.update(node.outputs)
            own.update(v for v in node.outputs if v.name in placed or v.name not in known)
    return own, touched
