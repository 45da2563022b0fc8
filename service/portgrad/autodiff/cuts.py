"""Where numbers become integers on the way to an output: no gradient passes, which may surprise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from portgrad.autodiff.sweep import captures, described
from portgrad.autodiff.tensor import may_carry
from portgrad.graph.nothing import VALUES_UNREAD

_MAY_CUT = frozenset({"ArgMax", "ArgMin", "Cast", "CastLike"})


def integer_cuts(
    nodes: Iterable[ir.Node], wrt: Iterable[ir.Value], of: Iterable[ir.Value]
) -> Iterator[str]:
    """A sentence for each node between targets and outputs that makes integers of numbers.

    Booleans are left out: conditions are how nets are built, and their zeros surprise nobody.
    """
    reached = set(wrt)
    forward = []
    for node in nodes:
        operands = {v for v in (*node.inputs, *captures(node)) if v in reached}
        if operands and node.op_type not in VALUES_UNREAD:
            forward.append((node, operands))
            reached.update(node.outputs)
    needed = set(of)
    cuts = []
    for node, operands in reversed(forward):
        if needed.intersection(node.outputs):
            needed.update(operands)
            if _cuts(node, operands):
                cuts.append(node)
    for node in reversed(cuts):
        yield f"{described(node)}: it makes integers of numbers, so no gradient passes through it"


def _cuts(node: ir.Node, operands: set[ir.Value]) -> bool:
    integers = all(v.dtype is not None and v.dtype.is_integer() for v in node.outputs)
    return node.op_type in _MAY_CUT and integers and any(may_carry(v) for v in operands)
