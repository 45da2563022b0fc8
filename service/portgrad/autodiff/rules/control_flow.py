"""If, Loop and Scan: a branch, or each iteration from the last to the first, is run again and
swept (see `autodiff/control`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import onnx_ir as ir

from portgrad.autodiff.control.iteration import Iterated, Scanned, State, reverse
from portgrad.autodiff.control.subgraphs import Subgraph, captured
from portgrad.autodiff.registry import control
from portgrad.autodiff.sweep import Sweep
from portgrad.autodiff.tensor import Tensor

Cotangents = Sequence[Tensor | None]
_AGAIN = "each iteration runs again; the states at their starts are kept"
Found = Iterable[tuple[ir.Value | None, Tensor]]


@control("If", cost="the branch that is taken runs again")
def if_(sweep: Sweep, node: ir.Node, cotangents: Cotangents, wanted: set[ir.Value]) -> Found:
    """The cotangents of what either branch captures, from the branch that is taken."""
    targets = captured([node], wanted)
    branches = {}
    for name in ("then_branch", "else_branch"):
        branch = Subgraph(sweep, f"vjp of {name}")
        graph = node.attributes[name].as_graph()
        found = branch.cotangents(graph, (), cotangents, targets, final=node.outputs)
        for target in targets:
            branch.give(found[target], sweep.op.wrap(target))
        branches[name] = ir.AttrGraph(name, branch.graph)
    return zip(targets, sweep.op.call("If", [node.inputs[0]], branches, targets), strict=True)


@control("Loop", cost=_AGAIN)
def loop(sweep: Sweep, node: ir.Node, cotangents: Cotangents, wanted: set[ir.Value]) -> Found:
    """The cotangents of initial states and captured values."""
    body = node.attributes["body"].as_graph()
    states = list(_states(node, node.inputs[2:], body.inputs[2:], body.outputs[1:], cotangents))
    written = [None if ct is None else Scanned(ct) for ct in cotangents[len(states) :]]
    return reverse(sweep, Iterated(node, True, states, (), written), wanted)


@control("Scan", cost=_AGAIN)
def scan(sweep: Sweep, node: ir.Node, cotangents: Cotangents, wanted: set[ir.Value]) -> Found:
    """The cotangents of initial states, scanned operands and captured values."""
    body = node.attributes["body"].as_graph()
    initial = node.inputs[: len(node.inputs) - node.attributes["num_scan_inputs"].as_int()]
    states = list(_states(node, initial, body.inputs, body.outputs, cotangents))
    operands = [sweep.op.wrap(v) for v in node.inputs[len(states) :] if v is not None]
    read = [Scanned(x, axis, way) for x, axis, way in _ways(node, "input", operands) if x]
    written = [
        None if ct is None else Scanned(ct, axis, way)
        for ct, axis, way in _ways(node, "output", cotangents[len(states) :])
    ]
    return reverse(sweep, Iterated(node, False, states, read, written), wanted)


def _states(
    node: ir.Node,
    initial: Sequence[ir.Value | None],
    inside: Sequence[ir.Value],
    after: Sequence[ir.Value],
    cotangents: Cotangents,
) -> Iterator[State]:
    for k, start in enumerate(initial):
        if start is not None:
            yield State(start, inside[k], after[k], node.outputs[k], cotangents[k])


def _ways(
    node: ir.Node, side: str, tensors: Sequence[Tensor | None]
) -> list[tuple[Tensor | None, int, bool]]:
    """Each scanned tensor with its axis and whether it is scanned from its end."""

    def ints(what: str) -> Sequence[int]:
        given = node.attributes.get(f"scan_{side}_{what}")
        return [0] * len(tensors) if given is None else given.as_ints()

    ways = [bool(way) for way in ints("directions")]
    return list(zip(tensors, ints("axes"), ways, strict=True))
