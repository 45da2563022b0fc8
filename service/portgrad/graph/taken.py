"""Which names of values a graph has, so that new ones differ."""

from __future__ import annotations

import onnx_ir as ir

from portgrad.graph.inside import with_inner


def value_names(graph: ir.Graph) -> set[str]:
    """The names of all values of a graph and its subgraphs, inputs and constants included."""
    outputs = (value for node in with_inner(graph) for value in node.outputs)
    given = (
        value
        for each in (graph, *graph.subgraphs())
        for value in (*each.inputs, *each.initializers.values())
    )
    return {str(value.name) for value in (*given, *outputs)}
