"""A net whose ports, parameters and inner values can be moved by what is added to them."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from portgrad.autodiff.codes import EXACT
from portgrad.autodiff.compile import GradientGraph, refuse_taken, swept, values_by_name
from portgrad.autodiff.emitter import free_prefix
from portgrad.autodiff.interposed import interpose
from portgrad.graph.pruning import prune

MOVE = "move/"


def moved_graph(model: ir.Model, *, moves: Sequence[str], outputs: Sequence[str]) -> GradientGraph:
    """The graph of outputs where values have been moved. Nothing is differentiated.

    Args:
        model: a normalised net; it is not changed, and its initializers are shared.
        moves: names of floating input ports, parameters and inner values.
        outputs: names of output ports or inner values to give out.

    Returns:
        A model whose inputs are the net's and `move/NAME` for each of `moves` that is read, of its
        dtype and rank, which broadcasts to it and is added to it for all that reads it.
    """
    refuse_taken(model.graph, [MOVE + name for name in moves])
    prefix = free_prefix(model.graph)
    computed = {str(v.name) for node in model.graph for v in node.outputs}
    kept = dict.fromkeys([*outputs, *(name for name in moves if name in computed)])
    plain = swept(model, {}, of=(), given={}, outputs=list(kept), quantized=EXACT)
    graph = plain.model.graph
    values = values_by_name(graph)
    graph.outputs.clear()
    moved = {
        name: _move(graph, values[name], MOVE + name, f"{prefix}{name}")
        for name in moves
        if name in values
    }
    graph.outputs.extend(moved.get(name, values[name]) for name in outputs)
    prune(plain.model)
    return plain


def _move(graph: ir.Graph, value: ir.Value, called: str, fresh: str) -> ir.Value:
    """Let all that reads a value read its sum with an input; the sum."""
    move = ir.Value(name=called, type=value.type)
    move.shape = None if value.shape is None else ir.Shape([None] * len(value.shape))
    graph.inputs.append(move)
    node = ir.Node("", "Add", [move, move], num_outputs=1, name=f"{fresh}/move")
    return interpose(graph, value, node, fresh)
