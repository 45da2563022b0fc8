"""Subgraphs: which a node has, what is inside, and what they capture from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import onnx_ir as ir


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs in a node's attributes."""
    for attribute in node.attributes.values():
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


def tell_apart(graph: ir.Graph, fresh: Callable[[str], str]) -> None:
    """Rename what lies in subgraphs under a name that another value has, in place.

    ONNX lets subgraphs that do not see each other use the same names; what is known of a value is
    looked up by its name.

    Args:
        graph: the main graph, whose own names stay.
        fresh: gives names that nothing else has.
    """
    taken = {value.name for value in (*graph.inputs, *graph.initializers.values())}
    taken.update(value.name for node in graph for value in node.outputs)
    for node in with_inner(graph):
        inside = () if node.graph is graph else node.outputs
        if inside and not node.name:
            node.name = inside[0].name  # what users know it by
        for value in (*inside, *held(node)):
            if value.name and value.name in taken:
                value.name = fresh(value.name)
            taken.add(value.name)


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
