"""Sequences whose elements are known when compiling: what reads one is made to read tensors.

Exporters write a split as SplitToSequence and SequenceAt, and a stack as SequenceConstruct and
ConcatFromSequence. As Split and Concat they are faster, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.infer import Dims, dims_of, int_of
from portgrad.autodiff.nesting import with_inner
from portgrad.graph.constants import constant_value, hold

# Parts of a split, and elements of a sequence that grows: each of its states has a list of its own.
_MOST = 1024
_CHANGING = frozenset({"Identity", "SequenceErase", "SequenceInsert"})

Elements = Sequence[ir.Value]


def unpack(graph: ir.Graph, fresh: Callable[[str], str]) -> None:
    """Rewrite what reads such sequences, in a graph and its subgraphs, in place.

    Args:
        graph: the graph.
        fresh: gives names that nothing else has.
    """
    unpacking = _Unpacking(fresh)
    for node in list(with_inner(graph)):
        if node.domain == "" and node.op_type in _READERS:
            elements = unpacking.elements(node.inputs[0])
            if elements is not None:
                _READERS[node.op_type](unpacking, node, elements)
    unpacking.remove_unread()


class _Unpacking:
    def __init__(self, fresh: Callable[[str], str]) -> None:
        self._fresh = fresh
        self._known: dict[ir.Value, Elements | None] = {}

    # -- what sequences are made of ---------------------------------------------------------------

    def elements(self, sequence: ir.Value | None) -> Elements | None:
        """The elements of a sequence, None where they are not known."""
        for value in reversed(self._not_looked_at(sequence)):
            node = value.producer()
            assert node is not None
            self._known[value] = _MAKERS[node.op_type](self, node)
        return None if sequence is None else self._known.get(sequence)

    def _not_looked_at(self, sequence: ir.Value | None) -> list[ir.Value]:
        """A sequence and those that it is made from; some are longer than Python's stack."""
        found: list[ir.Value] = []
        while sequence is not None and sequence not in self._known:
            node = sequence.producer()
            if node is None or node.domain or node.op_type not in _MAKERS:
                break
            found.append(sequence)
            sequence = node.inputs[0] if node.op_type in _CHANGING else None
        return found

    def constructed(self, node: ir.Node) -> Elements:
        """Of SequenceConstruct and SequenceEmpty."""
        return [value for value in node.inputs if value is not None]

    def passed_on(self, node: ir.Node) -> Elements | None:
        """Of Identity."""
        return self.elements(node.inputs[0])

    def inserted(self, node: ir.Node) -> Elements | None:
        """Of SequenceInsert."""
        first = self.elements(node.inputs[0])
        if first is None or node.inputs[1] is None or len(first) >= _MOST:
            return None
        place = _place(node, 2, count=len(first), last=len(first))
        return None if place is None else [*first[:place], node.inputs[1], *first[place:]]

    def erased(self, node: ir.Node) -> Elements | None:
        """Of SequenceErase."""
        first = self.elements(node.inputs[0])
        if first is None:
            return None
        place = _place(node, 1, count=len(first), last=len(first) - 1)
        return None if place is None else [*first[:place], *first[place + 1 :]]

    def split(self, node: ir.Node) -> Elements | None:
        """Of SplitToSequence: the outputs of a Split in front of it."""
        sizes, x = _sizes(node), node.inputs[0]
        if sizes is None or not 0 < len(sizes) <= _MOST:
            return None
        axis = int_of(node, "axis", 0)
        attributes = [ir.AttrInt64("axis", axis)]
        operands = [x, self._ints(node, sizes)]
        parts = self._before(node, "Split", operands, attributes, len(sizes))
        dims = dims_of(x)
        for part, size in zip(parts, sizes, strict=True):
            part.shape = _with(dims, axis, [size])
        if len(node.inputs) > 1 and node.inputs[1] is not None:
            return parts
        if int_of(node, "keepdims", 1):
            return parts
        axes = self._ints(node, [axis])
        squeezed = [self._before(node, "Squeeze", [part, axes])[0] for part in parts]
        for value in squeezed:
            value.shape = _with(dims, axis, [])
        return squeezed

    def remove_unread(self) -> None:
        """Remove the nodes that made what nothing reads any more."""
        for sequence in reversed(self._known):
            node = sequence.producer()
            if node is not None and not sequence.uses() and not sequence.is_graph_output():
                _graph(node).remove(node, safe=True)

    # -- what reads them --------------------------------------------------------------------------

    def take(self, node: ir.Node, elements: Elements) -> None:
        """SequenceAt: the element."""
        place = _place(node, 1, count=len(elements), last=len(elements) - 1)
        if place is not None:
            _become(node, "Identity", [elements[place]])

    def count(self, node: ir.Node, elements: Elements) -> None:
        """SequenceLength: a number."""
        number = ir.Tensor(np.asarray(len(elements), np.int64))
        _become(node, "Constant", [], ir.AttrTensor("value", number))

    def join(self, node: ir.Node, elements: Elements) -> None:
        """ConcatFromSequence: Concat."""
        axis = node.attributes["axis"].as_int()
        if not elements:
            return  # the runtime refuses it, in its own words
        if int_of(node, "new_axis", 0):
            axes = self._ints(node, [axis])
            elements = [self._before(node, "Unsqueeze", [x, axes])[0] for x in elements]
        _become(node, "Concat", elements, ir.AttrInt64("axis", axis))

    # -- new nodes --------------------------------------------------------------------------------

    def _before(
        self,
        node: ir.Node,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Sequence[ir.Attr] = (),
        outputs: int = 1,
    ) -> list[ir.Value]:
        """The outputs of a new node in front of another one, with the dtype of its first input."""
        new = ir.Node("", op_type, inputs, attributes, num_outputs=outputs)
        new.name = self._fresh(op_type)
        for value in new.outputs:
            value.name = self._fresh(op_type)
            value.type = None if inputs[0] is None else inputs[0].type
        _graph(node).insert_before(node, new)
        return list(new.outputs)

    def _ints(self, node: ir.Node, values: Sequence[int]) -> ir.Value:
        """An int64 vector in the graph of a node."""
        return hold(_graph(node), self._fresh("constant"), np.asarray(values, np.int64))


_MAKERS: dict[str, Callable[[_Unpacking, ir.Node], Elements | None]] = {
    "Identity": _Unpacking.passed_on,
    "SequenceConstruct": _Unpacking.constructed,
    "SequenceEmpty": _Unpacking.constructed,
    "SequenceErase": _Unpacking.erased,
    "SequenceInsert": _Unpacking.inserted,
    "SplitToSequence": _Unpacking.split,
}
_READERS: dict[str, Callable[[_Unpacking, ir.Node, Elements], None]] = {
    "ConcatFromSequence": _Unpacking.join,
    "SequenceAt": _Unpacking.take,
    "SequenceLength": _Unpacking.count,
}


def _become(node: ir.Node, op_type: str, inputs: Sequence[ir.Value], *attributes: ir.Attr) -> None:
    """Make a node another operator with the same outputs."""
    node.op_type = op_type
    node.resize_inputs(len(inputs))
    for index, value in enumerate(inputs):
        node.replace_input_with(index, value)
    node.attributes.clear()
    for attribute in attributes:
        node.attributes[attribute.name] = attribute


def _place(node: ir.Node, operand: int, *, count: int, last: int) -> int | None:
    """A position counted from the start: `last` without the operand; None where it is not known."""
    given = node.inputs[operand] if operand < len(node.inputs) else None
    if given is None:
        return last
    constant = constant_value(given)
    if constant is None or constant.size != 1:
        return None
    place = int(constant.reshape(()))
    place = place + count if place < 0 else place
    return place if 0 <= place <= last else None


def _sizes(node: ir.Node) -> list[int] | None:
    """How large the parts of a SplitToSequence are, None where it is not known."""
    axis, dims = int_of(node, "axis", 0), _dims(node.inputs[0])
    given = node.inputs[1] if len(node.inputs) > 1 else None
    size = dims[axis] if -len(dims) <= axis < len(dims) else None
    if given is None:
        return [1] * size if isinstance(size, int) and size <= _MOST else None
    constant = constant_value(given)
    if constant is None:
        return None
    if constant.ndim:
        return [int(part) for part in constant]
    part = int(constant)
    if not isinstance(size, int) or part <= 0 or size > part * _MOST:
        return None
    return [min(part, size - start) for start in range(0, size, part)]


def _dims(value: ir.Value | None) -> Dims:
    return dims_of(value) or []


def _with(dims: Dims | None, axis: int, sizes: Dims) -> ir.Shape | None:
    """A shape with other sizes in the place of that of an axis."""
    if dims is None:
        return None
    axis %= len(dims)
    return ir.Shape([*dims[:axis], *sizes, *dims[axis + 1 :]])


def _graph(node: ir.Node) -> Any:
    assert node.graph is not None
    return node.graph
