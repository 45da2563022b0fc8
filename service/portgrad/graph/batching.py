"""Batches over a net that was exported with a literal leading 1.

`batched` proves from the structure alone that the examples of a batch cannot meet, and rewrites
the net to take any number of them. Each operator is judged by its row of a table (`batch.table`);
one that has no row, or breaks its row's condition, makes the answer None: such a net is run
example by example.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import onnx_ir as ir

from portgrad.graph.batch.analysis import Analysis
from portgrad.graph.batch.states import Refused
from portgrad.graph.batch.verify import verify

_log = logging.getLogger(__name__)
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True)
class Batched:
    """A net that takes a batch.

    `axis` has every named value of the main graph that carries the batch, and the axis on which
    its examples lie one after the other. It is 0 for the batched ports, anything for other values,
    outputs among them: `examples` brings them to the front. A value that is not in it is the same
    for all examples and computed once, so that its gradient is the total over them, and a seed
    for it must be the total of the examples' seeds (N times the seed that all share).
    """

    model: ir.Model
    axis: Mapping[str, int]


def batched(model: ir.Model, ports: Collection[str]) -> Batched | None:
    """The net with a batch on axis 0 of `ports`, or None if it cannot be proven to have one.

    The given model stays as it was and shares its tensors with the new one, in which all names of
    nodes and values are kept and what froze the batch size at 1 follows it.

    Args:
        model: a normalised net with inferred shapes.
        ports: one or more input ports whose first dimension is literally 1; all others are shared.
    """
    copy = model.clone()
    copy.meta.update(model.meta)
    symbol = _fresh_symbol(copy.graph)
    try:
        axes = Analysis(copy.graph, ports, copy.opset_imports.get("", 0)).run()
        named = {str(value.name): axis for value, axis in axes.items() if value.name}
        _declare(axes, symbol)
        verify(copy, named, symbol)
    except Refused as refused:
        _log.debug("run example by example: %s", refused)
        return None
    return Batched(copy, named)


def examples(array: np.ndarray[Any, np.dtype[_T]], axis: int) -> np.ndarray[Any, np.dtype[_T]]:
    """A value with its batch on `axis` as (N, *shape of a single example's value), a view."""
    return np.expand_dims(np.moveaxis(array, axis, 0), axis + 1)


def together(array: np.ndarray[Any, np.dtype[_T]], axis: int) -> np.ndarray[Any, np.dtype[_T]]:
    """The inverse of `examples`, a view."""
    return np.moveaxis(np.squeeze(array, axis + 1), 0, axis)


def _declare(axes: Mapping[ir.Value, int], symbol: str) -> None:
    for value, axis in axes.items():
        if value.shape is not None:
            sizes = list(value.shape)
            sizes[axis] = ir.SymbolicDim(symbol)
            value.shape = ir.Shape(sizes)


def _fresh_symbol(graph: ir.Graph) -> str:
    used = {
        size.value
        for value in [*graph.inputs, *(out for node in graph for out in node.outputs)]
        for size in value.shape or ()
        if isinstance(size, ir.SymbolicDim)
    }
    symbol = "batch"
    while symbol in used:
        symbol += "_"
    return symbol
