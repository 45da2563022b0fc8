"""Subgraphs: which a node has, what is inside, and what they capture from outside."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from portgrad.graph.inside import subgraphs, with_inner

__all__ = ["captures", "held", "subgraphs", "with_inner"]


def held(node: ir.Node) -> Iterator[ir.Value]:
    """What a node's subgraphs hold beside the outputs of their nodes: inputs and initializers."""
    for graph in subgraphs(node):
        yield from (*graph.inputs, *graph.initializers.values())


def captures(node: ir.Node) -> Iterator[ir.Value]:
    """Values from outside that the node's subgraphs use, to any depth."""
    for graph in subgraphs(node):
        yield from _captured(graph)


def _captured(graph: ir.Graph) -> Iterator[ir.Value]:
    inside = set(graph.inputs) | set(graph.initializers.values())
    for node in graph:
        inside.update(node.outputs)
    for node in graph:
        for value in (*node.inputs, *captures(node)):
            if value is not None and value not in inside:
                yield value
    yield from (value for value in graph.outputs if value not in inside)
