"""A small language for what exporters write: patterns of nodes, matched from their last value.

`x - mean(x)` is written as it reads: patterns have arithmetic, a number stands for a constant of
that value, and a name always for the same value. Matching asks for exactly the operators, constants
and axes that a pattern says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.graph.constants import constant_value


@dataclass(frozen=True)
class Found:
    """What a pattern has met so far.

    Attributes:
        operands: the values that its names stand for.
        numbers: the constants that its names stand for.
        axes: those of its means, from 0; None before the first.
        nodes: the nodes that it consists of.
        constants: the values that it takes for constants.
    """

    operands: dict[str, ir.Value] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    axes: tuple[int, ...] | None = None
    nodes: frozenset[ir.Node] = frozenset()
    constants: frozenset[ir.Value] = frozenset()


class Pattern:
    """Something that a value may be."""

    def at(self, value: ir.Value | None, found: Found) -> Iterator[Found]:
        """The ways in which a value is that, given what was found before."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Pattern:
        return Node("Add", self, lifted(other), commutes=True)

    def __radd__(self, other: Any) -> Pattern:
        return self.__add__(other)

    def __mul__(self, other: Any) -> Pattern:
        return Node("Mul", self, lifted(other), commutes=True)

    def __rmul__(self, other: Any) -> Pattern:
        return self.__mul__(other)

    def __sub__(self, other: Any) -> Pattern:
        return Node("Sub", self, lifted(other))

    def __truediv__(self, other: Any) -> Pattern:
        return Node("Div", self, lifted(other))

    def __rtruediv__(self, other: Any) -> Pattern:
        return Node("Div", lifted(other), self)

    def __pow__(self, other: Any) -> Pattern:
        return Node("Pow", self, lifted(other))

    def __or__(self, other: Pattern) -> Pattern:
        return Either(self, other)


class Operand(Pattern):
    """Any value, the same wherever the name occurs."""

    def __init__(self, name: str) -> None:
        self.name = name

    def at(self, value: ir.Value | None, found: Found) -> Iterator[Found]:
        """The value itself."""
        known = found.operands.get(self.name)
        if value is not None and known is None:
            yield replace(found, operands={**found.operands, self.name: value})
        elif value is known:
            yield found


class Number(Pattern):
    """A constant with one element: of a given value, or of any positive one under a name."""

    def __init__(self, value: float | str) -> None:
        self.value = value

    def at(self, value: ir.Value | None, found: Found) -> Iterator[Found]:
        """The constant, if the value is one."""
        array = constant_value(value, allow_parameters=True)
        if value is None or array is None or array.size != 1 or array.dtype.kind not in "fi":
            return
        number = float(array.reshape(()))
        found = replace(found, constants=found.constants | {value})
        if isinstance(self.value, str):
            if number > 0.0 and found.numbers.get(self.value, number) == number:
                yield replace(found, numbers={**found.numbers, self.value: number})
        elif abs(number - self.value) <= _rounding(array.dtype, self.value):
            yield found


def _rounding(dtype: np.dtype[Any], number: float) -> float:
    """By how much a constant may differ from the number that it stands for."""
    exact = dtype.kind != "f" or float(dtype.type(number)) == number
    return 0.0 if exact else float(np.finfo(dtype).eps) * abs(number)


class Node(Pattern):
    """A node of one operator over patterns."""

    def __init__(self, op_type: str, *operands: Pattern, commutes: bool = False) -> None:
        self.op_type = op_type
        self.orders = [operands, operands[::-1]] if commutes else [operands]

    def at(self, value: ir.Value | None, found: Found) -> Iterator[Found]:
        """The node that computes the value, if it is one of these."""
        node, found = _producer(value, found)
        if node is None or node.op_type != self.op_type:
            return
        if len(node.inputs) != len(self.orders[0]):
            return
        for order in self.orders:
            for whole in _all(order, node.inputs, found):
                yield replace(whole, nodes=whole.nodes | {node})


def _producer(value: ir.Value | None, found: Found) -> tuple[ir.Node | None, Found]:
    """The standard operator that computes a value, and with what is found the casts behind it.

    Exporters leave casts to the type that a value has already.
    """
    node = None if value is None else value.producer()
    while node is not None and node.op_type == "Cast" and node.domain == "":
        operand = node.inputs[0]
        if operand is None or operand.dtype is None or operand.dtype != node.outputs[0].dtype:
            break
        found = replace(found, nodes=found.nodes | {node})
        node = operand.producer()
    return (None if node is None or node.domain != "" else node), found


def _all(
    patterns: Sequence[Pattern], values: Sequence[ir.Value | None], found: Found
) -> Iterator[Found]:
    if not patterns:
        yield found
        return
    for one in patterns[0].at(values[0], found):
        yield from _all(patterns[1:], values[1:], one)


class Mean(Pattern):
    """The mean over axes that are kept; all means of one pattern are over the same axes."""

    def __init__(self, data: Pattern) -> None:
        self.data = data

    def at(self, value: ir.Value | None, found: Found) -> Iterator[Found]:
        """The mean that the value is, if it is one."""
        node, found = _producer(value, found)
        axes = None if node is None else _mean_axes(node)
        if node is not None and axes is not None and found.axes in {None, axes}:
            for one in self.data.at(node.inputs[0], replace(found, axes=axes)):
                yield replace(one, nodes=one.nodes | {node})


def _mean_axes(node: ir.Node) -> tuple[int, ...] | None:
    """The axes, from 0, over which a node takes a mean and keeps them; None where it does not."""
    if node.op_type not in {"ReduceMean", "GlobalAveragePool"} or node.inputs[0] is None:
        return None
    shape = node.inputs[0].shape
    if shape is None or node.op_type == "GlobalAveragePool":  # as tf2onnx writes some means
        return tuple(range(2, len(shape or ()))) or None
    kept = node.attributes.get("keepdims")
    axes = constant_value(node.inputs[1]) if len(node.inputs) == 2 else None
    if axes is None or axes.size == 0 or (kept is not None and kept.as_int() != 1):
        return None
    return tuple(sorted({int(axis) % len(shape) for axis in axes}))


class Either(Pattern):
    """One of several patterns."""

    def __init__(self, *patterns: Pattern) -> None:
        self.patterns = patterns

    def at(self, value: ir.Value | None, found: Found) -> Iterator[Found]:
        """The ways of each in turn."""
        for pattern in self.patterns:
            yield from pattern.at(value, found)


def lifted(pattern: Any) -> Pattern:
    """A pattern, or a number as one."""
    return pattern if isinstance(pattern, Pattern) else Number(pattern)


def product(a: Pattern, b: Pattern | float, c: Pattern | float) -> Pattern:
    """Three factors multiplied in any order."""
    return a * b * c | a * c * b | a * (lifted(b) * c)


def square(x: Pattern) -> Pattern:
    """X times itself."""
    return x**2.0 | x * x


def inverse_root(x: Pattern) -> Pattern:
    """One over the square root."""
    root = Node("Sqrt", x)
    return Node("Reciprocal", root) | 1.0 / root | x**-0.5


def divided_by_root(x: Pattern, y: Pattern) -> Pattern:
    """X over the square root of y."""
    return x / Node("Sqrt", y) | x * inverse_root(y)
