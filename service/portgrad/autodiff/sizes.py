"""Where a size comes from: sizes of what depends on some values, told by what does not.

Numbers are believed, symbols are not: onnx's inference takes the sizes of a broadcast Einsum for
those of its first operand. What is told here follows from the operators alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import onnx_ir as ir

from portgrad.autodiff.infer import BROADCASTING, SHAPED_AS_FIRST, Dims, dims_of, int_of
from portgrad.graph.constants import constant_value


@dataclass(frozen=True)
class Axis:
    """An axis of a value."""

    value: ir.Value
    axis: int


@dataclass(frozen=True)
class Element:
    """An element of a vector of sizes."""

    vector: ir.Value
    index: int


@dataclass(frozen=True)
class Broadcast:
    """The size of an axis that operands have or broadcast to."""

    parts: tuple[Size, ...]


Size: TypeAlias = int | Axis | Element | Broadcast


class Sizes:
    """Tells sizes.

    Args:
        graph: the graph of the values.
        unknown: the values of it whose sizes may not be asked for.
        alike: for some of them, a value of the same shape.
    """

    def __init__(
        self, graph: ir.Graph, unknown: set[ir.Value], alike: Mapping[ir.Value, ir.Value]
    ) -> None:
        self._graph, self._unknown, self._alike = graph, unknown, alike
        self._slices: dict[ir.Value, tuple[ir.Value | None, int]] = {}
        self._found: dict[tuple[ir.Value, int], Size | None] = {}

    def of(self, value: ir.Value | None, axis: int) -> Size | None:
        """The size of an axis, counted from the first; None where nothing tells it."""
        if value is None:
            return None
        if (value, axis) not in self._found:
            self._found[value, axis] = None
            self._found[value, axis] = self._look(value, axis)
        return self._found[value, axis]

    def _look(self, value: ir.Value, axis: int) -> Size | None:
        dims = dims_of(value)
        if dims is not None and isinstance(size := dims[axis], int):
            return size
        if value.graph is self._graph and value not in self._unknown:
            return Axis(value, axis)
        if value in self._alike or value in self._slices:
            whole, first = self._slices.get(value) or (self._alike[value], 0)
            return self.of(whole, axis + first)
        node = value.producer()
        if node is not None and node.op_type == "Scan":
            return self._scanned(node, node.outputs.index(value), axis)
        return None if node is None or node.domain else self._made(node, dims, axis)

    def _scanned(self, node: ir.Node, index: int, axis: int) -> Size | None:
        """Of a Scan along first axes."""
        body = node.attributes["body"].as_graph()
        states = len(node.inputs) - node.attributes["num_scan_inputs"].as_int()
        if index < states:
            return self.of(node.inputs[index], axis)
        if {"scan_input_axes", "scan_output_axes"}.intersection(node.attributes):
            return None
        if axis == 0:
            return self.of(node.inputs[states], 0)
        for place, (inner, outer) in enumerate(zip(body.inputs, node.inputs, strict=True)):
            self._slices[inner] = outer, int(place >= states)
        return self.of(body.outputs[index], axis - 1)

    def _made(self, node: ir.Node, dims: Dims | None, axis: int) -> Size | None:
        """What an operator makes of the sizes of its operands."""
        if dims is None:
            return None
        if node.op_type in SHAPED_AS_FIRST:
            return self.of(node.inputs[0], axis)
        if node.op_type in BROADCASTING:
            return self._broadcast(node.inputs, len(dims), axis)
        rule = _RULES.get(node.op_type)
        return None if rule is None else rule(self, node, axis)

    def _broadcast(self, operands: Sequence[ir.Value | None], rank: int, axis: int) -> Size | None:
        """The size that operands broadcast to, their last axes in line."""
        found: list[Size | None] = []
        for value in operands:
            dims = None if value is None else dims_of(value)
            if dims is None:
                return None
            if (mine := axis - rank + len(dims)) >= 0:
                found.append(self.of(value, mine))
        return _wide(found)

    def element(self, vector: ir.Value | None, index: int) -> Size | None:
        """An element of a vector of sizes; None also for a -1 that stands for one."""
        known = constant_value(vector)
        if known is not None:
            size = int(known.reshape(-1)[index])
            return size if size >= 0 else None
        node = None if vector is None else vector.producer()
        if node is None or node.domain:
            return None
        if node.op_type == "Shape":
            return self.of(node.inputs[0], index + int_of(node, "start", 0))
        if node.op_type == "Concat":
            for part in node.inputs:
                dims = None if part is None else dims_of(part)
                if not dims or not isinstance(dims[0], int):
                    return None
                if index < dims[0]:
                    return self.element(part, index)
                index -= dims[0]
        return Element(vector, index) if vector is not None and _counts(vector) else None


def _counts(vector: ir.Value | None) -> bool:
    """Whether a vector is computed of sizes alone, by what makes no -1 of them."""
    known = constant_value(vector)
    if known is not None:
        return bool((known >= 0).all())
    node = None if vector is None else vector.producer()
    if node is None or node.domain:
        return False
    return node.op_type == "Shape" or (
        node.op_type in {"Concat", "Div", "Mul", "Add", "Max"} and all(map(_counts, node.inputs))
    )


def _wide(sizes: Sequence[Size | None]) -> Size | None:
    """What sizes broadcast to."""
    wide = [size for size in dict.fromkeys(sizes) if size != 1]
    if None in wide:
        return None
    number = next((size for size in wide if isinstance(size, int)), None)
    if number is not None or len(wide) < 2:
        return number if number is not None else wide[0] if wide else 1
    return Broadcast(tuple(size for size in wide if size is not None))


def _transposed(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    perm = node.attributes.get("perm")
    return None if perm is None else sizes.of(node.inputs[0], perm.as_ints()[axis])


def _reshaped(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    return sizes.element(node.inputs[1], axis) if int_of(node, "allowzero", 0) else None


def _expanded(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    first, length = dims_of(node.inputs[0]), dims_of(node.inputs[1])
    if first is None or length is None or length[0] != len(first):
        return None
    return _wide([sizes.of(node.inputs[0], axis), sizes.element(node.inputs[1], axis)])


def _filled(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    return sizes.element(node.inputs[0], axis)


def _gemm(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    turned = int_of(node, "transB" if axis else "transA", 0)
    return sizes.of(node.inputs[axis], axis if not turned else 1 - axis)


def _multiplied(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    ranks = [len(dims_of(value) or ()) for value in node.inputs]
    whole = max(ranks)
    if min(ranks) < 2:
        return None
    if axis >= whole - 2:
        which = axis - whole + 2
        return sizes.of(node.inputs[which], ranks[which] - 2 + which)
    aligned = [(value, axis - whole + rank) for value, rank in zip(node.inputs, ranks, strict=True)]
    return _wide([sizes.of(value, mine) for value, mine in aligned if mine >= 0])


def _reduced(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    axes = constant_value(node.inputs[1]) if len(node.inputs) > 1 else None
    dims = dims_of(node.inputs[0])
    if axes is None or dims is None:
        return None
    gone = {int(each) % len(dims) for each in axes}
    if int_of(node, "keepdims", 1):
        return 1 if axis in gone else sizes.of(node.inputs[0], axis)
    return sizes.of(node.inputs[0], [each for each in range(len(dims)) if each not in gone][axis])


def _squeezed(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    axes, dims = constant_value(node.inputs[1]), dims_of(node.inputs[0])
    if axes is None or dims is None:
        return None
    gone = {int(each) % len(dims) for each in axes}
    return sizes.of(node.inputs[0], [each for each in range(len(dims)) if each not in gone][axis])


def _unsqueezed(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    axes, rank = constant_value(node.inputs[1]), len(dims_of(node.outputs[0]) or ())
    if axes is None:
        return None
    new = {int(each) % rank for each in axes}
    old = [each for each in range(rank) if each not in new]
    return 1 if axis in new else sizes.of(node.inputs[0], old.index(axis))


def _contracted(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    terms, _, output = node.attributes["equation"].as_string().partition("->")
    if "." in terms or not output:
        return None
    pairs = zip(terms.split(","), node.inputs, strict=True)
    return _wide(
        [sizes.of(v, term.index(output[axis])) for term, v in pairs if output[axis] in term]
    )


def _cut(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    """Of a Slice, along the axes that it leaves as they are."""
    axes, dims = (
        constant_value(node.inputs[3]) if len(node.inputs) > 3 else None,
        dims_of(node.inputs[0]),
    )
    if axes is None or dims is None or axis in {int(each) % len(dims) for each in axes}:
        return None
    return sizes.of(node.inputs[0], axis)


def _beside(sizes: Sizes, node: ir.Node, axis: int) -> Size | None:
    """Of an operator along one axis, which keeps the others."""
    along = int_of(node, "axis", 0) % len(dims_of(node.outputs[0]) or (None,))
    return None if axis == along else sizes.of(node.inputs[0], axis)


_RULES: Mapping[str, Callable[[Sizes, ir.Node, int], Size | None]] = {
    "Transpose": _transposed,
    "Reshape": _reshaped,
    "Expand": _expanded,
    "ConstantOfShape": _filled,
    "Gemm": _gemm,
    "MatMul": _multiplied,
    "ReduceSum": _reduced,
    "ReduceMean": _reduced,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    "Einsum": _contracted,
    "Slice": _cut,
    "Concat": _beside,
    "Split": _beside,
    "GatherElements": lambda sizes, node, axis: sizes.of(node.inputs[1], axis),
}
