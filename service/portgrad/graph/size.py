"""How large a net is, told before anything is made of it: nodes, nesting, names.

Functions are counted as often as they are called, and never written out for it: a few of them
that call one another twice stand for millions of nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import onnx

from portgrad.errors import InvalidNet, LimitExceeded
from portgrad.graph import walk

NODES, DEPTH = 100_000, 16
# Of one name, in characters. Exporters' own stay far below it, and every message repeats them.
LONGEST_NAME = 4096
# Operands, outputs, ports and tensors that a node may have on average.
_PER_NODE = 16

Key: TypeAlias = tuple[str, str, str]


@dataclass
class _Extent:
    """Nodes, and the deepest nesting of subgraphs, of what has been counted."""

    nodes: int = 0
    depth: int = 0


def check_size(model: onnx.ModelProto, *, nodes: int, depth: int) -> None:
    """Refuse a model that is too large, in time linear in what it holds.

    Args:
        model: as it was parsed.
        nodes: the most nodes, with functions written out.
        depth: the deepest nesting of subgraphs, with functions written out.

    Raises:
        LimitExceeded: `too_many_nodes`, `too_many_values`, `subgraphs_too_deep`, `name_too_long`.
        InvalidNet: `recursive_function`.
    """
    held = sum(1 for _ in walk.all_nodes(model))
    if held > nodes:
        raise _too_many("nodes", nodes, f"{held}", code="too_many_nodes")
    _check_values(model, _PER_NODE * nodes)
    bodies = {_called(f.domain, f.name, f.overload): _calls(f) for f in model.functions}
    known: dict[Key, _Extent] = {}
    for key in _callees_first(bodies):
        known[key] = _extent(bodies[key], known, nodes, depth)
    whole = _extent(_calls(model.graph), known, nodes, depth)
    if whole.nodes > nodes:
        raise _too_many(
            "nodes with its functions written out",
            nodes,
            f"more than {nodes}",
            code="too_many_nodes",
        )
    if whole.depth > depth:
        raise too_deep(depth, f"more than {depth}")


# A node: the function that it may call, and how many subgraphs it lies in.
_Call: TypeAlias = tuple[Key, int]


def _called(domain: str, name: str, overload: str) -> Key:
    return ("" if domain == "ai.onnx" else domain, name, overload)


def _calls(owner: walk.Nodes, level: int = 0) -> list[_Call]:
    """Every node of a graph or function; protobuf itself bounds how deep this goes."""
    found = []
    for node in owner.node:
        found.append((_called(node.domain, node.op_type, node.overload), level))
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())):
                found.append((_GRAPH, level + 1))
                found += _calls(graph, level + 1)
    return found


# Stands for a subgraph itself, which is no node but has a depth.
_GRAPH: Key = ("", "", "")


def _extent(calls: list[_Call], known: Mapping[Key, _Extent], nodes: int, depth: int) -> _Extent:
    """What nodes come to; numbers beyond a limit stay just beyond it."""
    whole = _Extent()
    for key, level in calls:
        inner = known.get(key, _Extent(0 if key is _GRAPH else 1))
        whole.nodes = min(whole.nodes + max(inner.nodes, key is not _GRAPH), nodes + 1)
        whole.depth = min(max(whole.depth, level + inner.depth), depth + 1)
    return whole


def _callees_first(bodies: Mapping[Key, list[_Call]]) -> Iterator[Key]:
    """Functions in an order in which each comes after those that it calls.

    Raises:
        InvalidNet: `recursive_function`.
    """
    waiting = {key: {name for name, _ in calls if name in bodies} for key, calls in bodies.items()}
    callers: dict[Key, list[Key]] = {key: [] for key in bodies}
    for key, names in waiting.items():
        for name in names:
            callers[name].append(key)
    free = [key for key, names in waiting.items() if not names]
    while free:
        key = free.pop()
        del waiting[key]
        yield key
        for caller in callers[key]:
            waiting[caller].discard(key)
            if not waiting[caller]:
                free.append(caller)
    if waiting:
        own = ", ".join(f"`{name}`" for _, name, _ in sorted(waiting)[:10])
        raise InvalidNet(
            "Functions of the net call themselves.",
            code="recursive_function",
            where=own,
            remedy="ONNX has no recursion: write it as a Loop or Scan.",
        )


def _check_values(model: onnx.ModelProto, most: int) -> None:
    count = sum(len(node.input) + len(node.output) for node in walk.all_nodes(model))
    for graph in walk.all_graphs(model):
        count += len(graph.input) + len(graph.output) + len(graph.value_info)
        count += len(graph.initializer) + len(graph.sparse_initializer)
    if count > most:
        raise _too_many("values", most, f"{count}", code="too_many_values")


def check_name(name: str) -> None:
    """Refuse a name of unbearable length.

    Raises:
        LimitExceeded: `name_too_long`.
    """
    if len(name) > LONGEST_NAME:
        raise LimitExceeded(
            "A name in the net is longer than any may be.",
            code="name_too_long",
            where=f"{name[:80]}…",
            expected=f"at most {LONGEST_NAME} characters",
            found=f"{len(name)} characters",
            remedy="Export the net with shorter names.",
        )


def too_deep(depth: int, found: str) -> LimitExceeded:
    """The refusal of subgraphs that are nested too deeply."""
    return LimitExceeded(
        "Subgraphs of the net are nested too deeply.",
        code="subgraphs_too_deep",
        expected=f"at most {depth} levels of If, Loop and Scan, with functions written out",
        found=found,
        remedy="Rewrite the net with fewer branches and loops inside one another.",
    )


def _too_many(what: str, most: int, found: str, *, code: str) -> LimitExceeded:
    return LimitExceeded(
        f"The net has too many {what}.",
        code=code,
        expected=f"at most {most}",
        found=found,
        remedy="Split the net, or write what repeats as a Loop or Scan.",
    )
