"""Subgraphs: which a node has, what is inside, and what they capture from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs in a node's attributes."""
    for attribute in node.attributes.data.values():  # a plain dict: this is asked of every node
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def with_inner(nodes: Iterable[ir.Node]) -> Iterator[ir.Node]:
    """Nodes, and those of their subgraphs to any depth."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from with_inner(graph)


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
