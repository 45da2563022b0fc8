"""Cotangents through what a rule has composed of nodes: swept as a net is."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from portgrad.autodiff.sweep import Sweep, active
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary


def pull_back(op: Vocabulary, y: Tensor, ct: Tensor, targets: Sequence[Tensor]) -> list[Tensor]:
    """The cotangents of floating targets, given that of what was computed from them.

    Args:
        op: the emitter that y was composed with.
        y: the result.
        ct: its cotangent.
        targets: values that y was computed from. None of them is computed from another. Zeros
            for one where nothing arrives, or that was listed before: its total comes once.
    """
    starts = [target.value for target in targets]
    nodes, wanted = active(_between(starts, y.value), starts, [y.value])
    sweep = Sweep(op, {"": op.opset})
    if y.value in wanted:
        sweep.accumulate(y.value, ct)
    sweep.run(nodes, wanted)
    totals = [sweep.cotangent(start) for start in starts]
    return [
        op.zeros_like(target) if total is None or start in starts[:place] else total
        for place, (target, start, total) in enumerate(zip(targets, starts, totals, strict=True))
    ]


def _between(starts: Sequence[ir.Value], end: ir.Value) -> list[ir.Node]:
    """The nodes that compute a value from others, in topological order."""
    found: dict[ir.Node, None] = {}
    stops = set(starts)
    pending: list[tuple[ir.Value, bool]] = [(end, False)]
    while pending:
        value, ready = pending.pop()
        node = value.producer()
        if node is None or value in stops or node in found:
            continue
        if ready:
            found[node] = None
        else:
            pending.append((value, True))
            pending.extend((operand, False) for operand in node.inputs if operand is not None)
    return list(found)
