"""The graphs inside nodes, and all nodes of a graph, in less time than onnx_ir itself takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

_GRAPH, _GRAPHS = ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs in a node's attributes."""
    for attribute in node.attributes.data.values():  # a plain dict: this is asked of every node
        if attribute.type is _GRAPH:
            yield attribute.as_graph()
        elif attribute.type is _GRAPHS:
            yield from attribute.as_graphs()


def with_inner(nodes: Iterable[ir.Node]) -> Iterator[ir.Node]:
    """Nodes, and those of their subgraphs to any depth."""
    for node in nodes:
        yield node
        if node.attributes.data:  # most have none, and a generator less is half of the time
            for graph in subgraphs(node):
                yield from with_inner(graph)
