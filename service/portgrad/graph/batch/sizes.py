"""Arithmetic of shapes: small integer tensors whose entries are numbers or the batch size N.

Each rule computes the node's output from the entries of its operands. What cannot be told is
None; a result that would depend on N otherwise than by being N is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.graph.batch.states import (
    Along,
    N,
    Numbered,
    Size,
    Sizes,
    State,
    as_entries,
    of_entries,
    sized,
)
from portgrad.graph.batch.step import MOST_ENTRIES, Rules, Step

RULES = Rules()

_INTEGERS = frozenset({ir.DataType.INT32, ir.DataType.INT64})
_TRUTH = frozenset({ir.DataType.BOOL})


def is_shape_arithmetic(node: ir.Node) -> bool:
    """Whether a node may be read as computing with sizes."""
    if node.op_type not in RULES or node.op_type == "Shape":
        return node.op_type == "Shape"
    operands = {value.dtype for value in node.inputs if value is not None}
    truth = _TRUTH if node.op_type in {"Equal", "Where"} else frozenset()
    return operands <= _INTEGERS | truth and node.outputs[0].dtype in _INTEGERS | truth


@RULES("Shape")
def shape(step: Step) -> State:
    """The sizes of a value, with N at its batch axis."""
    if isinstance(step.states[0], Sizes):
        return of_entries(as_entries(step.states[0].entries.shape))
    sizes: list[Any] = [size if isinstance(size, int) else None for size in step.shape(0)]
    state = step.states[0]
    if isinstance(state, Numbered):
        sizes[state.axis] = N
    elif isinstance(state, Along):
        sizes[state.axis] = _length(state)
    start, end = step.attribute("start"), step.attribute("end")
    return of_entries(np.array(sizes, np.object_)[start:end])


@RULES("Cast", "Identity")
def same(step: Step) -> State:
    """Integers stay what they are."""
    return of_entries(step.entries(0))


@RULES("Gather")
def gather(step: Step) -> State:
    """Entries by constant indices."""
    data, indices = step.entries(0), step.entries(1)
    axis = step.axis_attribute(data.ndim)
    picked = np.take(data, np.array(step.ints(1), np.int64), axis)
    return of_entries(picked.reshape(data.shape[:axis] + indices.shape + data.shape[axis + 1 :]))


@RULES("Concat")
def concat(step: Step) -> State:
    """Entries one after the other."""
    parts = [step.entries(index) for index in step.given()]
    return of_entries(np.concatenate(parts, int(step.attribute("axis"))))


@RULES("Slice")
def slice_(step: Step) -> State:
    """A constant part."""
    data = step.entries(0)
    starts, ends = step.ints(1), step.ints(2)
    axes = step.axes(3, data.ndim) if step.has(3) else list(range(len(starts)))
    steps = step.ints(4) if step.has(4) else [1] * len(starts)
    where = [slice(None)] * data.ndim
    for axis, start, end, stride in zip(axes, starts, ends, steps, strict=True):
        where[axis] = slice(start, end, stride)
    return of_entries(data[tuple(where)])


@RULES("Squeeze")
def squeeze(step: Step) -> State:
    """Fewer axes of size 1."""
    data = step.entries(0)
    axes = tuple(step.axes(1, data.ndim)) if step.has(1) else None
    return of_entries(np.squeeze(data, axes))


@RULES("Unsqueeze")
def unsqueeze(step: Step) -> State:
    """More axes of size 1."""
    return of_entries(np.expand_dims(step.entries(0), tuple(step.ints(1))))


@RULES("Reshape")
def reshape(step: Step) -> State:
    """A constant shape."""
    sizes = step.ints(1)
    if 0 in sizes:
        step.refuse("its target is not constant")
    return of_entries(step.entries(0).reshape(sizes))


@RULES("ConstantOfShape")
def constant_of_shape(step: Step) -> State:
    """One integer again and again."""
    sizes, value = step.ints(0), step.attribute("value")
    if value is None or np.prod(sizes) > MOST_ENTRIES:
        step.refuse("it is no vector of sizes")
    return of_entries(np.full(sizes, int(value.numpy().item()), np.object_))


@RULES("Transpose")
def transpose(step: Step) -> State:
    """Entries in another order."""
    return of_entries(np.transpose(step.entries(0), step.attribute("perm")))


@RULES("ReduceProd")
def product(step: Step) -> State:
    """The number of elements of some axes."""
    data = step.entries(0)
    if data.ndim != 1 or (step.has(1) and step.axes(1, 1) != [0]):
        step.refuse("it is no product of all")
    if step.attribute("noop_with_empty_axes") and not step.has(1):
        step.refuse("it is no product of all")
    total: Any = 1
    for size in data:
        total = (
            None if None in (total, size) and not sized((total, size)) else _multiply(total, size)
        )
        if total is NotImplemented:
            step.refuse("it computes with the batch size")
    return of_entries(np.full((1,) if step.attribute("keepdims") else (), total, np.object_))


@RULES("Add", "Sub", "Mul", "Div", "Mod", "Equal", "Max")
def arithmetic(step: Step) -> State:
    """Entry by entry, broadcast."""
    if len(step.states) != 2:
        step.refuse("it computes with other than two operands")
    function = {
        "Add": _add,
        "Sub": _subtract,
        "Mul": _multiply,
        "Div": _divide,
        "Mod": _modulo,
        "Max": _greater,
        "Equal": _equal,
    }[step.node.op_type]

    def known(a: Any, b: Any) -> Any:
        found = None if (a is None or b is None) and not sized((a, b)) else function(a, b)
        return step.refuse("it computes with the batch size") if found is NotImplemented else found

    found = np.frompyfunc(known, 2, 1)(step.entries(0), step.entries(1))
    return of_entries(np.asarray(found, np.object_))


def _add(a: Any, b: Any) -> Any:
    return _unchanged(a, b, 0) if sized([a]) else _unchanged(b, a, 0) if sized([b]) else a + b


def _subtract(a: Any, b: Any) -> Any:
    return _unchanged(a, b, 0) if sized((a, b)) else a - b


def _multiply(a: Any, b: Any) -> Any:
    size, other = (b, a) if sized([b]) else (a, b)
    if not isinstance(size, Size):
        return a * b
    if sized([other]) or other == 0:
        return NotImplemented
    return Size(None if None in (size.times, other) else size.times * other)


def _divide(a: Any, b: Any) -> Any:
    times = b.times if isinstance(b, Size) else b
    if isinstance(a, Size):
        if a.times is None or times is None or times < 1 or a.times % times:
            return _unchanged(a, b, 1)
        return a.times // times if isinstance(b, Size) else Size(a.times // times)
    if isinstance(b, Size):
        return NotImplemented
    return a // b if a >= 0 and b > 0 else None  # onnx truncates, Python rounds down


def _modulo(a: Any, b: Any) -> Any:
    if sized((a, b)):
        return NotImplemented
    return a % b if a >= 0 and b > 0 else None


def _greater(a: Any, b: Any) -> Any:
    if sized((a, b)):
        return a if a == b and a.times is not None else NotImplemented
    return max(a, b)


def _equal(a: Any, b: Any) -> Any:
    if not sized((a, b)):
        return bool(a == b)
    size, other = (a, b) if sized([a]) else (b, a)
    if sized([other]):
        return True if size == other and size.times is not None else NotImplemented
    return False if other is not None and other < 0 else NotImplemented


def _unchanged(size: Any, other: Any, neutral: int) -> Any:
    """N where the other operand changes nothing."""
    same = isinstance(size, Size) and not sized([other]) and other == neutral
    return size if same else NotImplemented


def _length(state: Along) -> Size:
    """The size of the axis along which a value has its examples."""
    return Size(state.single if isinstance(state.single, int) else None)


@RULES("Where")
def where(step: Step) -> State:
    """A choice between two entries."""

    def choose(condition: Any, a: Any, b: Any) -> Any:
        if condition is not None:
            return a if condition else b
        return step.refuse("it chooses the batch size") if sized((a, b)) else None

    entries = [step.entries(index) for index in range(3)]
    return of_entries(np.asarray(np.frompyfunc(choose, 3, 1)(*entries), np.object_))
