"""Where numbers become integers on the way to an output: no gradient passes, which may surprise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import onnx_ir as ir

from portgrad.autodiff.codes import Codes, is_code, quantises
from portgrad.autodiff.nesting import captures, subgraphs
from portgrad.autodiff.registry import Zero, lookup
from portgrad.autodiff.sweep import described
from portgrad.autodiff.tensor import may_carry
from portgrad.graph.nothing import VALUES_UNREAD

# Operators that make integers, or labels, of numbers; some beside an output that has a gradient.
_MAY_CUT = frozenset(
    "ArgMax ArgMin Cast CastLike LinearClassifier SVMClassifier TopK TreeEnsembleClassifier".split()
)
_CUT = "it makes {} of numbers, so no gradient passes through it"
_WHOLE, _NARROW = "integers or labels", "narrow floats"
_CODED = (
    "it makes codes of numbers, so its exact gradient is zero; "
    '`quantized: "straight_through"` asks for an estimate that passes'
)


def integer_cuts(
    nodes: Iterable[ir.Node],
    wrt: Iterable[ir.Value],
    of: Iterable[ir.Value],
    codes: Codes | None = None,
) -> Iterator[str]:
    """A sentence for each node between targets and outputs that makes integers of numbers.

    Booleans are left out: conditions are how nets are built, and their zeros surprise nobody.
    Quantisers, of which a net has many, share a sentence, and have none where `codes` pass.
    """
    quantisers = []
    for node, operands, needed in _within(nodes, wrt, of):
        if _cuts(node, operands, needed):
            narrow = any(v.dtype is not None and v.dtype.is_floating_point() for v in needed)
            yield f"{described(node)}: {_CUT.format(_NARROW if narrow else _WHOLE)}"
        if codes is None and quantises(node) and any(map(may_carry, operands)):
            quantisers.append(node)
    yield from _grouped(quantisers, _CODED)


def foreseen(model: ir.Model) -> tuple[str, ...]:
    """What a gradient of all outputs at the input ports will warn of, each operator once."""
    starts = [value for value in model.graph.inputs if may_carry(value)]
    ends = [value for value in model.graph.outputs if may_carry(value)]
    flat: dict[str, list[ir.Node]] = {}
    for node, operands, needed in _within(model.graph, starts, ends):
        entry = lookup(node.domain, node.op_type, 0)
        floating = any(map(may_carry, operands)) and any(map(may_carry, needed))
        if isinstance(entry, Zero) and entry.warning and floating:
            flat.setdefault(entry.warning, []).append(node)
    zeros = (sentence for warning, nodes in flat.items() for sentence in _grouped(nodes, warning))
    return (*zeros, *integer_cuts(model.graph, starts, ends))


def _within(
    nodes: Iterable[ir.Node], wrt: Iterable[ir.Value], of: Iterable[ir.Value]
) -> Iterator[tuple[ir.Node, set[ir.Value], set[ir.Value]]]:
    """What `_between` finds, and what it finds in the subgraphs of these nodes, to any depth."""
    for node, (operands, needed) in _between(nodes, wrt, of).items():
        yield node, operands, needed
        for graph in subgraphs(node):
            starts = [*operands, *(value for value in graph.inputs if may_carry(value))]
            ends = [value for value in graph.outputs if value.dtype != ir.DataType.BOOL]
            yield from _within(graph, starts, ends)


def _between(
    nodes: Iterable[ir.Node], wrt: Iterable[ir.Value], of: Iterable[ir.Value]
) -> Mapping[ir.Node, tuple[set[ir.Value], set[ir.Value]]]:
    """Nodes between targets and outputs, through whatever they compute.

    Each has the operands that are reached from a target and the outputs that are needed.
    """
    reached = set(wrt)
    forward: dict[ir.Node, set[ir.Value]] = {}
    for node in nodes:
        operands = {v for v in (*node.inputs, *captures(node)) if v in reached}
        if operands and node.op_type not in VALUES_UNREAD:
            forward[node] = {v for v in operands if v is not None}
            reached.update(node.outputs)
    needed = set(of)
    between: dict[ir.Node, tuple[set[ir.Value], set[ir.Value]]] = {}
    for node in reversed(list(forward)):
        if used := needed.intersection(node.outputs):
            between[node] = forward[node], used
            needed.update(forward[node])
    return dict(reversed(between.items()))


def _cuts(node: ir.Node, operands: Iterable[ir.Value], needed: Iterable[ir.Value]) -> bool:
    whole = all(is_code(v) or v.dtype == ir.DataType.STRING for v in needed)
    return node.op_type in _MAY_CUT and whole and any(map(may_carry, operands))


def _grouped(nodes: Iterable[ir.Node], reason: str) -> Iterator[str]:
    """A sentence for the nodes of each operator, naming the first."""
    by_operator: dict[tuple[str, str], list[ir.Node]] = {}
    for node in nodes:
        by_operator.setdefault((node.domain, node.op_type), []).append(node)
    for first, *others in by_operator.values():
        more = f" and {len(others)} more" if others else ""
        yield f"{described(first)}{more}: {reason}"
