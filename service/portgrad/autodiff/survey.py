"""What a net is made of and everything that stands in the way of its gradient, found by trying.

Other than `obstacles`, this compiles the gradient, so that it also finds what rules refuse for an
attribute or a shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import onnx_ir as ir

from portgrad.autodiff.binding import schema_of_node
from portgrad.autodiff.catalogue import DOMAINS, catalogue
from portgrad.autodiff.codes import EXACT, Quantized
from portgrad.autodiff.compile import gradient_graph, values_by_name
from portgrad.autodiff.nesting import captures, with_inner
from portgrad.autodiff.randomness import seeded
from portgrad.autodiff.sweep import label
from portgrad.errors import Unsupported

_MOST = 100  # obstacles that are looked for: each costs a compilation


@dataclass(frozen=True)
class Used:
    """An operator of a net.

    Attributes:
        operator: its domain and name.
        version: its schema version in the normalised net.
        count: how many nodes there are, those of subgraphs included.
        gradient, note, cost: as in the catalogue.
    """

    operator: str
    version: int | None
    count: int
    gradient: str
    note: str
    cost: str


@dataclass(frozen=True)
class Obstacle:
    """A node that has no derivative here on a path from a target to an output.

    Attributes:
        node: its name, or its first output where it has none; "" where it is the ports, of which
            none is floating.
        operator: its domain and name, or "".
        reason: why, as a sentence.
        remedy: what to do.
        blocks: the targets whose gradient needs it.
    """

    node: str
    operator: str
    reason: str
    remedy: str
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """What a net is made of, what stands in the way, and what its gradient would warn of."""

    operators: tuple[Used, ...]
    obstacles: tuple[Obstacle, ...]
    warnings: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """The survey as plain data."""
        return asdict(self)


def survey(
    model: ir.Model, wrt: Sequence[str], of: Sequence[str], quantized: Quantized = EXACT
) -> Survey:
    """Survey a normalised net.

    Args:
        model: the net; it is not changed.
        wrt: the targets that matter, by name.
        of: the outputs.
        quantized: as for `gradient_graph`.
    """
    obstacles, warnings = _obstacles(seeded(model, train=False), wrt, of, quantized)
    return Survey(tuple(_used(model)), tuple(obstacles), warnings)


def _used(model: ir.Model) -> Iterable[Used]:
    opsets = dict(model.graph.opset_imports)
    known = {(operator.domain, operator.name): operator for operator in catalogue()}
    nodes = [(node, schema_of_node(node, opsets)) for node in with_inner(model.graph)]
    kinds = Counter(
        (DOMAINS[node.domain][0], node.op_type, None if schema is None else schema.since_version)
        for node, schema in nodes
    )
    for (domain, name, version), count in sorted(kinds.items(), key=lambda item: item[0][:2]):
        found = known[domain, name]
        operator = f"{domain}.{name}"
        yield Used(operator, version, count, found.gradient, found.note, found.cost)


def _obstacles(
    model: ir.Model, wrt: Sequence[str], of: Sequence[str], quantized: Quantized
) -> tuple[list[Obstacle], tuple[str, ...]]:
    """Compile; cut the net at the node that is refused; again, until nothing is refused."""
    found = list(_nothing(wrt, of))
    while wrt and of:
        try:
            return found, gradient_graph(model, wrt=wrt, of=of, quantized=quantized).warnings
        except Unsupported as error:
            node = _culprit(model.graph, error.where)
            found.append(_obstacle(model.graph, node, error, wrt, of))
            if node is None or len(found) == _MOST:
                break
            _cut(model.graph, node)
    return found, ()


def _nothing(wrt: Sequence[str], of: Sequence[str]) -> Iterable[Obstacle]:
    """What a net lacks for a gradient that nobody asked for in other words."""
    if not of:
        reason = "No output port is floating, so there is nothing to take the gradient of."
        yield Obstacle("", "", reason, "Name an inner value that is (`of`).", tuple(wrt))
    if not wrt:
        reason = "No input port or parameter can have a gradient: none of them is floating data."
        yield Obstacle("", "", reason, "Ask for an inner value that is (`wrt`).", ())


def _culprit(graph: ir.Graph, where: str | None) -> ir.Node | None:
    """The node of the main graph that an error is about; a body's nodes begin with its name."""
    for node in graph:
        named = [label(inner) for inner in with_inner([node])]
        if any(where == name or str(where).startswith(f"{name}/body") for name in named):
            return node
    return None


def _obstacle(
    graph: ir.Graph,
    node: ir.Node | None,
    error: Unsupported,
    wrt: Sequence[str],
    of: Sequence[str],
) -> Obstacle:
    blocked = wrt if node is None else _through(graph, node, wrt, of)
    return Obstacle(
        error.where or "", error.found or "", error.detail, error.remedy or "", tuple(blocked)
    )


def _through(graph: ir.Graph, through: ir.Node, wrt: Sequence[str], of: Sequence[str]) -> list[str]:
    """The targets from which a path leads through a node to an output."""
    values, ends = values_by_name(graph), set[ir.Value | None](through.outputs)
    for node in graph:
        if ends.intersection((*node.inputs, *captures(node))):
            ends.update(node.outputs)
    if not any(values[name] in ends for name in of):
        return []
    before: set[ir.Value | None] = {*through.inputs, *captures(through)}
    for node in reversed(list(graph)):
        if before.intersection(node.outputs):
            before.update((*node.inputs, *captures(node)))
    return [name for name in wrt if values[name] in before]


def _cut(graph: ir.Graph, node: ir.Node) -> None:
    """Let the outputs of a node come from outside."""
    for value in node.outputs:
        if value.name:
            outside = ir.Value(name=value.name, type=value.type, shape=value.shape)
            ir.convenience.replace_all_uses_with(value, outside, replace_graph_outputs=True)
            graph.inputs.append(outside)
    graph.remove(node, safe=True)
