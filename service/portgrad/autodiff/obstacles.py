"""What stands in the way: operators without a derivative, found without compiling anything."""

from __future__ import annotations

import onnx_ir as ir

from portgrad.autodiff.binding import schema_of_node
from portgrad.autodiff.bodies import has_body
from portgrad.autodiff.compile import values_by_name
from portgrad.autodiff.nesting import captures, subgraphs
from portgrad.autodiff.registry import Entry, Refused, Zero, lookup
from portgrad.autodiff.sweep import described
from portgrad.autodiff.tensor import may_carry


def obstacles(model: ir.Model) -> dict[str, str]:
    """Names of values whose gradient cannot be computed, each with the node that is why.

    A value is listed if a path of values that may be floating leads from it through an operator
    without a derivative to an output. Rules that refuse some attribute of their operator say so
    only when the gradient is compiled.
    """
    blocked = _blocked(model.graph, dict(model.graph.opset_imports))
    main = values_by_name(model.graph)
    return {name: blocked[value] for name, value in main.items() if value in blocked}


def _blocked(graph: ir.Graph, opsets: dict[str, int]) -> dict[ir.Value, str]:
    """Values of a graph, or captured by it, that cannot be differentiated through it."""
    useful = {value for value in graph.outputs if _may_float(value)}
    blocked: dict[ir.Value, str] = {}
    for node in reversed(list(graph)):
        entry = _entry(node, opsets)
        if isinstance(entry, Zero) or useful.isdisjoint(node.outputs):
            continue
        operands = [v for v in (*node.inputs, *captures(node)) if v is not None and _may_float(v)]
        useful.update(operands)
        reason = (None if has_body(node, opsets) else _reason(node, entry)) or next(
            (blocked[value] for value in node.outputs if value in blocked), None
        )
        for operand in operands if reason else ():
            blocked.setdefault(operand, str(reason))
        for value, inner in _blocked_inside(node, opsets).items():
            blocked.setdefault(value, inner)
    return blocked


def _blocked_inside(node: ir.Node, opsets: dict[str, int]) -> dict[ir.Value, str]:
    """Operands and captured values that a node's subgraphs block."""
    found: dict[ir.Value, str] = {}
    for graph in subgraphs(node):
        inner = _blocked(graph, opsets)
        for value in captures(node):
            if value in inner:
                found.setdefault(value, inner[value])
        reason = next((inner[value] for value in graph.inputs if value in inner), None)
        for operand in node.inputs if reason else ():
            if operand is not None and _may_float(operand):
                found.setdefault(operand, str(reason))
    return found


def _may_float(value: ir.Value) -> bool:
    return value.type is None or may_carry(value)


def _entry(node: ir.Node, opsets: dict[str, int]) -> Entry | None:
    schema = schema_of_node(node, opsets)
    return lookup(node.domain, node.op_type, schema.since_version if schema else 0)


def _reason(node: ir.Node, entry: Entry | None) -> str | None:
    if isinstance(entry, Refused):
        return f"{described(node)} is on its path: {entry.reason}"
    if entry is None:
        return f"{described(node)} is on its path and has no derivative here"
    return None
