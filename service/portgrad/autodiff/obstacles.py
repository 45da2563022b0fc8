"""What stands in the way: operators without a derivative, found without compiling anything."""

from __future__ import annotations

import onnx_ir as ir

from portgrad.autodiff.binding import schema_of_node
from portgrad.autodiff.bodies import has_body
from portgrad.autodiff.registry import Entry, Refused, Zero, lookup
from portgrad.autodiff.sweep import captures, described
from portgrad.autodiff.tensor import FLOATING


def obstacles(model: ir.Model) -> dict[str, str]:
    """Names of values whose gradient cannot be computed, each with the node that is why.

    A value is listed if a path of values that may be floating leads from it through an operator
    without a derivative to an output. Rules that refuse some attribute of their operator say so
    only when the gradient is compiled.
    """
    opsets = dict(model.graph.opset_imports)
    useful = {value for value in model.graph.outputs if _may_float(value)}
    blocked: dict[ir.Value, str] = {}
    for node in reversed(list(model.graph)):
        if not any(value in useful for value in node.outputs):
            continue
        entry = _entry(node, opsets)
        if isinstance(entry, Zero):
            continue
        supported = entry is None and has_body(node, opsets)
        reason = (None if supported else _reason(node, entry)) or next(
            (blocked[value] for value in node.outputs if value in blocked), None
        )
        for operand in (*node.inputs, *captures(node)):
            if operand is not None and _may_float(operand):
                useful.add(operand)
                if reason is not None:
                    blocked.setdefault(operand, reason)
    return {str(value.name): reason for value, reason in blocked.items() if value.name}


def _may_float(value: ir.Value) -> bool:
    return value.dtype is None or value.dtype in FLOATING


def _entry(node: ir.Node, opsets: dict[str, int]) -> Entry | None:
    schema = schema_of_node(node, opsets)
    return lookup(node.domain, node.op_type, schema.since_version if schema else 0)


def _reason(node: ir.Node, entry: Entry | None) -> str | None:
    if isinstance(entry, Refused):
        return f"{described(node)} is on its path: {entry.reason}"
    if entry is None:
        return f"{described(node)} is on its path and has no derivative here"
    return None
