"""The parameters of a net: its floating initializers, and what each is called.

A parameter of a subgraph keeps its plain name where nothing else in the net has it; otherwise it
is called `node/branch/name`, from the outermost node inwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

import onnx_ir as ir

from portgrad.errors import InvalidNet


@dataclass(frozen=True)
class Parameters:
    """The parameters by name; and the plain names that several of them have, with their names."""

    values: Mapping[str, ir.Value]
    shared_names: Mapping[str, list[str]]


def find_parameters(
    graph: ir.Graph, taken: Collection[str], called: Mapping[ir.Node, str]
) -> Parameters:
    """All parameters of a graph and of its subgraphs.

    Args:
        graph: the main graph.
        taken: the names of the values of the main graph.
        called: what each node is called (`slots.addresses`).

    Raises:
        InvalidNet: two parameters would have the same name.
    """
    values = {name: value for name, value in graph.initializers.items() if _floating(value)}
    shared_names = {}
    for plain, found in _namesakes(graph, called).items():
        free = len(found) == 1 and plain not in taken
        if not free and plain not in taken:
            shared_names[plain] = [path for path, _ in found]
        for path, value in found:
            name = plain if free else path
            if name in values or name in taken:
                _refuse_clash(name)
            values[name] = value
    return Parameters(values, shared_names)


def _namesakes(
    graph: ir.Graph, called: Mapping[ir.Node, str]
) -> dict[str, list[tuple[str, ir.Value]]]:
    """The parameters of subgraphs as (path, value), by their plain names."""
    namesakes: dict[str, list[tuple[str, ir.Value]]] = defaultdict(list)
    for path, plain, value in _inner(graph, "", called):
        namesakes[plain].append((path, value))
    return namesakes


def _inner(
    graph: ir.Graph, prefix: str, called: Mapping[ir.Node, str]
) -> Iterator[tuple[str, str, ir.Value]]:
    for node in graph:
        for branch, body in _bodies(node):
            path = f"{prefix}{called[node]}/{branch}/"
            for name, value in body.initializers.items():
                if _floating(value):
                    yield path + name, name, value
            yield from _inner(body, path, called)


def _bodies(node: ir.Node) -> Iterator[tuple[str, ir.Graph]]:
    for name, attribute in node.attributes.items():
        if attribute.type == ir.AttributeType.GRAPH:
            yield name, attribute.as_graph()


def _refuse_clash(name: str) -> NoReturn:
    raise InvalidNet(
        f"Two tensors of this net would be called `{name}`.",
        code="ambiguous_name",
        where=name,
        remedy="Give the nodes or the initializers of the subgraphs names of their own.",
    )


def _floating(value: ir.Value) -> bool:
    kind = value.type
    return isinstance(kind, ir.TensorType) and kind.dtype.is_floating_point()
