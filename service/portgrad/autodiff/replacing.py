"""Saying nodes in other operators: a graph is emptied, and filled again in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary


def taken_out(graph: ir.Graph) -> list[ir.Node]:
    """The nodes of a graph, which has none from then on. Who puts them back may emit others."""
    nodes = list(graph)
    graph.remove(nodes)
    return nodes


def stand_in(op: Vocabulary, node: ir.Node, results: Sequence[Tensor | None]) -> None:
    """Let values stand for the outputs of a node that is not put back, under their names.

    Args:
        op: the emitter of the graph.
        node: the node.
        results: a value for each output; None for one that nothing reads.
    """
    for old, new in zip(node.outputs, results, strict=False):
        if not old.name or new is None:
            continue
        value = op.alias(new, old.name)
        if old.shape is not None:
            value.shape = ir.Shape(old.shape.dims)
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
    for index in range(len(node.inputs)):
        node.replace_input_with(index, None)  # it reads nothing any more
