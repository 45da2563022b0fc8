"""Batches of examples that cannot meet.

`batched` proves that from the structure of a net alone that was exported with a literal leading 1,
and rewrites the net to take any number of examples. Each operator is judged by its row of a table
(`batch.table`); one that has no row, or breaks its row's condition, makes the answer None: such a
net is run example by example. `apart` proves it of a net that leaves the batch size open too: with
1 for it (`single`), by the same table, and every 1 that the net writes itself is no batch size.
`proof_apart` is the same for who wants to know why not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import onnx_ir as ir

from portgrad.graph.batch.analysis import Analysis
from portgrad.graph.batch.states import Along, Refused
from portgrad.graph.batch.verify import anew, verify

_log = logging.getLogger(__name__)
_T = TypeVar("_T", bound=np.generic)


class Axes(dict[str, int]):
    """The axis along which the examples lie one after the other, by the name of a value.

    Attributes:
        packed: values whose axis of examples has other elements on it too, and are no entries.
    """

    def __init__(self, places: Mapping[str, Along]) -> None:
        super().__init__({name: at.axis for name, at in places.items() if at.plain})
        self.packed = {name: at for name, at in places.items() if not at.plain}

    def has(self, name: str) -> bool:
        """Whether each example has a value of its own."""
        return name in self or name in self.packed


@dataclass(frozen=True)
class Batched:
    """A net that takes a batch.

    `axis` has every named value of the main graph that carries the batch, and the axis on which
    its examples lie one after the other. It is 0 for the batched ports, anything for other values,
    outputs among them: `examples` brings them to the front. A value that is not in it, nor packed,
    is the same for all examples and computed once, so that its gradient is the total over them,
    and a seed for it must be the total of the examples' seeds (N times the seed that all share).
    """

    model: ir.Model
    axis: Axes


def batched(model: ir.Model, ports: Collection[str]) -> Batched | None:
    """The net with a batch on axis 0 of `ports`, or None if it cannot be proven to have one.

    The given model stays as it was and shares its tensors with the new one, in which all names of
    nodes and values are kept and what froze the batch size at 1 follows it.

    Args:
        model: a normalised net with inferred shapes.
        ports: one or more input ports whose first dimension is literally 1; all others are shared.
    """
    return _if_proven(lambda: _proven(_copied(model), ports, fixed=True))


def apart(model: ir.Model, ports: Collection[str]) -> Batched | None:
    """The net with the proven axis of each value, or None if its examples may meet.

    On any number of examples it computes what the given net computes, and that is for each
    example what a run on it alone gives.

    Args:
        model: a normalised net with inferred shapes; it stays as it was.
        ports: one or more input ports whose first dimension is a symbol, or 1 for all of them,
            each with as many examples as the others; all other ports are shared.
    """
    return _if_proven(lambda: proof_apart(model, ports))


def proof_apart(model: ir.Model, ports: Collection[str]) -> Batched:
    """The same, with the reason where there is none.

    Raises:
        Refused: the examples may meet, or a port has no axis for them.
    """
    inputs = {str(value.name): value for value in model.graph.inputs}
    leading = {n: inputs[n].shape[0] if inputs[n].shape else None for n in ports}  # type: ignore[index]
    if all(size == 1 for size in leading.values()):
        return _proven(_copied(model), ports, fixed=True)
    symbols = {symbol for size in leading.values() if (symbol := _symbol(size)) is not None}
    _check_sizes(model.graph, ports, leading, symbols)
    return _proven(single(model, *symbols), ports, fixed=False)


def _if_proven(prove: Callable[[], Batched]) -> Batched | None:
    try:
        return prove()
    except Refused as refused:
        _log.debug("run example by example: %s", refused)
        return None


def single(model: ir.Model, *symbols: str) -> ir.Model:
    """The net for one example: 1 for symbols of its ports, and shapes inferred anew.

    Raises:
        Refused: with that size, shapes contradict each other.
    """
    copy = _copied(model)
    for port in copy.graph.inputs:
        sizes = [1 if _symbol(size) in symbols else size for size in port.shape or ()]
        port.shape = None if port.shape is None else ir.Shape(sizes)
    inferred = anew(copy).graph
    found = {info.name: info.type for info in (*inferred.value_info, *inferred.output)}
    for node in copy.graph:
        for value in node.outputs:
            if value.name in found:
                value.shape = ir.serde.deserialize_type_proto_for_shape(found[value.name])
            elif not node.domain:
                value.shape = None
    return copy


def _symbol(size: int | ir.SymbolicDim | None) -> str | None:
    return size.value if isinstance(size, ir.SymbolicDim) else None


def _check_sizes(
    graph: ir.Graph,
    ports: Collection[str],
    leading: Mapping[str, int | ir.SymbolicDim | None],
    symbols: Collection[str],
) -> None:
    """Refuse leading axes that are no batch, and batch sizes on other axes of input ports."""
    for name, size in leading.items():
        if _symbol(size) not in symbols:
            raise Refused(f"the port {name} has no leading axis of an open size", name)
    for port in graph.inputs:
        others = list(port.shape or ())[1 if port.name in ports else 0 :]
        if any(_symbol(size) in symbols for size in others):
            because = f"the port {port.name} has the batch size on another axis"
            raise Refused(because, port.name)


def _copied(model: ir.Model) -> ir.Model:
    copy = model.clone()
    copy.meta.update(model.meta)
    return copy


def _proven(copy: ir.Model, ports: Collection[str], *, fixed: bool) -> Batched:
    """The analysis of a copy for one example, which becomes one for any number, in place."""
    symbol = _fresh_symbol(copy.graph)
    opset = copy.opset_imports.get("", 0)
    analysis = Analysis(copy.graph, ports, opset, fixed=fixed)
    places = analysis.run()
    named = {str(value.name): at for value, at in places.items() if value.name}
    numbered = {value: Along(axis) for value, axis in analysis.numbered.items()}
    _declare(places | numbered, symbol)
    axes = {str(value.name): at.axis for value, at in (places | numbered).items()}
    verify(copy, axes, symbol)
    return Batched(copy, Axes(named))


def examples(array: np.ndarray[Any, np.dtype[_T]], axis: int) -> np.ndarray[Any, np.dtype[_T]]:
    """A value with its batch on `axis` as (N, *shape of a single example's value), a view."""
    return np.expand_dims(np.moveaxis(array, axis, 0), axis + 1)


def together(array: np.ndarray[Any, np.dtype[_T]], axis: int) -> np.ndarray[Any, np.dtype[_T]]:
    """The inverse of `examples`, a view."""
    return np.moveaxis(np.squeeze(array, axis + 1), 0, axis)


def _declare(places: Mapping[ir.Value, Along], symbol: str) -> None:
    for value, at in places.items():
        if value.shape is not None:
            sizes = list(value.shape)
            sizes[at.axis] = ir.SymbolicDim(symbol if at.plain else None)
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
