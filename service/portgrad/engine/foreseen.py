"""What shapes tell of the memory that a run takes, before it runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from portgrad.engine.arrays import Array, Value
from portgrad.engine.limits import Limits, check_answer, check_count, check_value
from portgrad.graph.types import element_bytes

# The sizes of a value, symbols as text, and the bytes of an element.
Extent: TypeAlias = tuple[tuple[int | str, ...], float]
_LITTLE = 2**20  # bytes


class Foreseen:
    """The sizes of a graph's values.

    Args:
        model: the graph. What lies in branches and loops may never be computed, and does not count.
        limits: what one value, and what is given out, may take.
    """

    def __init__(self, model: ir.Model, limits: Limits) -> None:
        graph = model.graph
        self._limits = limits
        self._symbols = [
            (str(port.name), axis, dim.value)
            for port in graph.inputs
            for axis, dim in enumerate(port.shape or ())
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None
        ]
        self._outputs = [extent for _, extent in _extents(graph.outputs)]
        # Few shapes differ: of each, one value stands for all.
        self._inner = {extent: name for name, extent in _largest(graph)} if self._limited else {}

    @property
    def _limited(self) -> bool:
        return self._limits.memory_bytes is not None

    def sizes(self, feeds: Mapping[str, Value]) -> dict[int | str, int]:
        """The symbols of ports, by what is fed."""
        sizes: dict[int | str, int] = {}
        for name, axis, symbol in self._symbols:
            array = feeds.get(name)
            if isinstance(array, np.ndarray) and axis < array.ndim:
                sizes[symbol] = array.shape[axis]
        return sizes

    def check(self, feeds: Mapping[str, Value]) -> None:
        """Refuse a run of which a value, or all that is given out, would be too large.

        Args:
            feeds: an array for each input of the graph.

        Raises:
            LimitExceeded: `answer_too_large`, `value_too_large`.
        """
        sizes = self.sizes(feeds)
        most = self._limits.memory_bytes
        if most is not None:
            for extent, name in self._inner.items():
                check_value(name, bytes_of(extent, sizes), most)
        arrays = [((bytes_of(extent, sizes),), 1) for extent in self._outputs]
        check_answer("The answer", arrays, self._limits.answer_bytes)


def check_found(found: Iterable[Value], limits: Limits, count: int = 1) -> None:
    """The same of what came out, where shapes told nothing; so many times.

    Raises:
        LimitExceeded: `answer_too_large`.
    """
    arrays = list(_arrays(found))
    check_count(count * len(arrays))
    sizes = [((count, *array.shape), array.itemsize) for array in arrays]
    check_answer("The answer", sizes, limits.answer_bytes)


def takes_little(graph: ir.Graph) -> bool:
    """Whether all that a graph computes is known to take little memory together."""
    taken = 0
    for node in graph:
        for value in node.outputs:
            extent = extent_of(value)
            if extent is None or _symbols(extent):
                return False
            taken += bytes_of(extent, {})
    return taken <= _LITTLE


def _arrays(found: Iterable[Any]) -> Iterator[Array]:
    """The arrays, those of sequences too."""
    for value in found:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, list):
            yield from _arrays(value)


def extent_of(value: ir.Value) -> Extent | None:
    """The sizes of a tensor, if they are all known or have names."""
    if not isinstance(value.type, ir.TensorType) or value.shape is None:
        return None
    dims = _dims(value.shape)
    return None if dims is None else (dims, element_bytes(value.dtype))


def _extents(values: Iterable[ir.Value]) -> Iterator[tuple[str, Extent]]:
    for value in values:
        extent = extent_of(value)
        if extent is not None:
            yield str(value.name), extent


def _largest(graph: ir.Graph) -> Iterator[tuple[str, Extent]]:
    """What nodes compute, and of those whose sizes are numbers the largest alone."""
    fixed: tuple[str, Extent] | None = None
    for name, extent in _extents(value for node in graph for value in node.outputs):
        if _symbols(extent):
            yield name, extent
        elif fixed is None or bytes_of(extent, {}) > bytes_of(fixed[1], {}):
            fixed = name, extent
    if fixed is not None:
        yield fixed


def _symbols(extent: Extent) -> list[str]:
    return [size for size in extent[0] if isinstance(size, str)]


def _dims(shape: ir.Shape) -> tuple[int | str, ...] | None:
    dims: Sequence[int | str | None] = [d if isinstance(d, int) else d.value for d in shape]
    known = tuple(size for size in dims if size is not None)
    return known if len(known) == len(dims) else None


def bytes_of(extent: Extent, sizes: Mapping[int | str, int]) -> int:
    """What a value takes, 0 where a symbol has no size."""
    dims, width = extent
    return int(width * math.prod(d if isinstance(d, int) else sizes.get(d, 0) for d in dims))
