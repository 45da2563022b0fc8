"""Symbols of sizes: which are the same, and which are multiples of an axis of a port.

onnx's inference writes a new symbol for what a Reshape leaves open (-1). It follows from the
number of elements: (N, 128, 768) as (-1, 128, 12, 64) has N again, and as (-1, 768) has 128 N.
Where sizes are known to be the same, nothing need be asked of values that are large and, asked for
their shape, would be kept until then.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import onnx_ir as ir

from portgrad.autodiff.infer import Dims, dims_of, int_of, shape_of
from portgrad.autodiff.nesting import with_inner
from portgrad.graph.constants import constant_value

Multiple = tuple[int, str]  # a number times a symbol


@dataclass
class Symbols:
    """What is known of the symbols of one graph.

    Attributes:
        ports: a value and an axis of it for each symbol that a port has.
        multiples: symbols that are a number times another one.
    """

    ports: dict[str, tuple[ir.Value, int]] = field(default_factory=dict)
    multiples: dict[str, Multiple] = field(default_factory=dict)

    def of(self, size: int | str | None) -> Multiple | None:
        """A size as a number times a symbol of a port; None where it is not known as one."""
        if not isinstance(size, str):
            return None
        found = self.multiples.get(size, (1, size))
        return found if found[1] in self.ports else None


def credible(net: ir.Graph) -> bool:
    """Whether the symbols in a net may be believed, as the user uploaded it.

    onnx gives the output of a DFT its operand's size, whatever the length that is asked for (so an
    STFT is not trusted, either), and that of an Einsum the first operand's where an ellipsis
    broadcasts. What operators of other domains give out is told by the file, which may be wrong.
    """
    return not any(node.domain or _misread(node) for node in with_inner(net))


def _misread(node: ir.Node) -> bool:
    if node.op_type == "Einsum":
        return "." in node.attributes["equation"].as_string()
    return node.op_type in {"DFT", "STFT"}


def told_by_ports(graph: ir.Graph, ports: Iterable[ir.Value]) -> Symbols:
    """The symbols of a graph; those that are found to be the same become one, in place.

    Args:
        graph: the main graph.
        ports: those of its inputs whose declared symbols are believed.
    """
    known = Symbols()
    for port in ports:
        for axis, size in enumerate(dims_of(port) or []):
            if isinstance(size, str):
                known.ports.setdefault(size, (port, axis))
    _Merge(known).visit(graph)
    return known


class _Merge:
    """One pass over a graph, in which symbols that are the same become one."""

    def __init__(self, known: Symbols) -> None:
        self.known = known
        self._same: dict[str, str] = {}
        self._named: dict[Multiple, str] = {}

    def visit(self, graph: ir.Graph) -> None:
        """All nodes of the graph."""
        for node in graph:
            if node.domain or not node.outputs:
                continue
            for value in node.outputs:
                self._rename(value)
            if any(self._open(size) for size in dims_of(node.outputs[0]) or []):
                self._tell(node)

    def _open(self, size: int | str | None) -> bool:
        return not isinstance(size, int) and self.known.of(size) is None

    def _rename(self, value: ir.Value) -> None:
        dims = dims_of(value)
        if dims is not None and any(size in self._same for size in dims if isinstance(size, str)):
            told = [self._same.get(d, d) if isinstance(d, str) else d for d in dims]
            value.shape = ir.Shape(told)

    def _tell(self, node: ir.Node) -> None:
        """Tell open sizes of a node's output by its operands."""
        dims = dims_of(node.outputs[0]) or []
        told = {"Reshape": self._counted, "Range": _counting}.get(node.op_type, shape_of)(node)
        if told is None or len(told) != len(dims):
            return
        better = [
            new if self._open(old) and isinstance(new, str) and not self._open(new) else old
            for old, new in zip(dims, told, strict=True)
        ]
        for old, new in zip(dims, better, strict=True):
            if isinstance(old, str) and isinstance(new, str) and old != new:
                self._same[old] = new
        node.outputs[0].shape = ir.Shape(better)

    def _counted(self, node: ir.Node) -> Dims | None:
        """The open axis of a Reshape by the number of elements."""
        dims, whole = dims_of(node.outputs[0]), _elements(dims_of(node.inputs[0]), self.known)
        unknown = [axis for axis, size in enumerate(dims or []) if not isinstance(size, int)]
        if dims is None or whole is None or len(unknown) != 1:
            return None
        number = math.prod(size for size in dims if isinstance(size, int))
        if number == 0 or whole[0] % number:
            return None
        dims[unknown[0]] = self._symbol((whole[0] // number, whole[1]), dims[unknown[0]])
        return dims

    def _symbol(self, multiple: Multiple, size: int | str | None) -> int | str | None:
        """The symbol of a multiple: the first that a value has."""
        if multiple[0] == 1:
            return multiple[1]
        if isinstance(size, str):
            self._named.setdefault(multiple, size)
        symbol = self._named.get(multiple)
        if symbol is not None:
            self.known.multiples[symbol] = multiple
        return symbol


def _counting(node: ir.Node) -> Dims | None:
    """The size of 0, 1, … up to the size of an axis."""
    start, limit, step = node.inputs
    first, by = constant_value(start), constant_value(step)
    if first is None or by is None or first != 0 or by != 1:
        return None
    asked = None if limit is None else limit.producer()
    while asked is not None and asked.op_type in {"Squeeze", "Reshape"} and asked.inputs[0]:
        asked = asked.inputs[0].producer()
    if asked is None or asked.op_type != "Shape" or asked.domain:
        return None
    dims = dims_of(asked.inputs[0]) or []
    asked_for = dims[int_of(asked, "start", 0) : int_of(asked, "end", len(dims))]
    return asked_for if len(asked_for) == 1 else None


def _elements(dims: Dims | None, known: Symbols) -> Multiple | None:
    """The number of elements of a shape with one symbol, which a port has."""
    symbols = [size for size in dims or [] if not isinstance(size, int)]
    found = known.of(symbols[0]) if len(symbols) == 1 else None
    numbers = math.prod(size for size in dims or [] if isinstance(size, int))
    return None if found is None else (found[0] * numbers, found[1])
