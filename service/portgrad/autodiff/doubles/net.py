"""A net in double precision, and nodes of a graph in operators that have double kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx_ir as ir

from portgrad.autodiff.binding import Schema, has_function_body, schema_of_node
from portgrad.autodiff.bodies import expand
from portgrad.autodiff.registry import Body, Zero, in_double, lookup
from portgrad.autodiff.sweep import UNSAID, described, explained
from portgrad.autodiff.tensor import FLOATING
from portgrad.errors import RunFailed, Unsupported
from portgrad.graph.casts import BETWEEN
from portgrad.graph.double import widen

_NAME = "tensor(double)"
# The standard has their statistics in float32.
_COARSE = frozenset({"LayerNormalization", "SimplifiedLayerNormalization"})

# Their rules and estimators need the nodes, so they take float64, which their standard has not, and
# are said in others when they are to run.
_STAYING = {
    ("", "DequantizeLinear"),
    ("", "DynamicQuantizeLinear"),
    ("com.microsoft", "DequantizeLinear"),
    ("com.microsoft", "NGramRepeatBlock"),
}


def doubled(model: ir.Model) -> ir.Model:
    """A net whose floating tensors are all float64.

    Operators that take no float64 by their standard are said in others, where they compute:
    those of the runtime's own, classical models, a few of ai.onnx. Where they make codes, choose,
    draw or jump, they stay in float32 between casts.

    Args:
        model: a normalised net; it is not changed, and no tensor of it is.

    Returns:
        The net in double: ports, parameters and values have the names and shapes that they had.

    Raises:
        Unsupported: `no_float64` where an operator can neither take float64 nor be said in others.
    """
    twin = model.clone()
    twin.meta.update(model.meta)
    opsets = dict(twin.graph.opset_imports)

    def spared(node: ir.Node) -> bool:
        return (node.domain, node.op_type) in _STAYING or _said(node, opsets)

    widen(twin, spared)
    while found := [node for node in twin.graph.all_nodes() if _said(node, opsets)]:
        expand(twin, found, body_of=_body_of(opsets), explain=refused, inference="lenient")
        widen(twin, spared)
    for node in twin.graph.all_nodes():
        if BETWEEN in node.meta and node.op_type not in {"Cast", "Constant"}:
            _check_coarse(node, opsets)
    return twin


def in_other_operators(model: ir.Model, nodes: Iterable[ir.Node]) -> None:
    """Replace nodes that compute in float64 by what their double bodies, or the standard's, say."""

    def body_of(node: ir.Node) -> Body | None:
        found = in_double(node.domain, node.op_type)
        return None if found is None else found[0]

    expand(model, nodes, body_of=body_of, explain=refused, inference="none")


def refused(error: Exception, node: ir.Node, schema: Schema | None) -> Unsupported | RunFailed:
    """The error of a node that cannot be said in double."""
    reason = error if isinstance(error, Unsupported) else explained(error, node, schema)
    if isinstance(reason, RunFailed) or reason.code == "no_float64":
        return reason
    return Unsupported(
        f"There is no {described(node)} in float64: {reason.detail.rstrip('.')}.",
        code="no_float64",
        where=str(node.name or node.outputs[0].name),
        expected="an operator that computes in float64, or can be said in others that do",
        found=f"{node.domain or 'ai.onnx'}.{node.op_type}",
        remedy="Leave `precision` out; where the file itself has float64, change the operator.",
    )


def _check_coarse(node: ir.Node, opsets: dict[str, int]) -> None:
    """Refuse what only a float32 kernel computes, unless it is piecewise constant by its floats."""
    schema = schema_of_node(node, opsets)
    entry = lookup(node.domain, node.op_type, schema.since_version if schema else 0)
    reasons = node.meta.get(UNSAID, {})
    for index, value in enumerate(node.outputs):
        flat = isinstance(entry, Zero) or isinstance(reasons.get(index), Zero)
        wide = [v for cast in value.consumers() for v in cast.outputs]
        read = any(v.is_graph_output() or v.uses() for v in wide)
        narrow = value.dtype in FLOATING and value.dtype != ir.DataType.DOUBLE
        if narrow and read and not flat:
            name = next(v.name for v in wide)
            raise refused(Unsupported(f"only a float32 kernel computes {name!r}"), node, schema)


def _said(node: ir.Node, opsets: dict[str, int]) -> bool:
    """Whether a node takes no float64, or has results that are none, and can be said in others."""
    floats = [v for v in (*node.inputs, *node.outputs) if v is not None and v.dtype in FLOATING]
    schema = schema_of_node(node, opsets)
    if not floats or schema is None or UNSAID in node.meta:
        return False
    if node.op_type in _COARSE and not node.domain:
        return any(value.name for value in node.outputs[1:])
    entry = lookup(node.domain, node.op_type, schema.since_version)
    if node.domain:
        return isinstance(entry, Body) and (node.domain, node.op_type) not in _STAYING
    if (node.domain, node.op_type) in _STAYING or _admits(node, schema):
        return False
    return in_double("", node.op_type) is not None or has_function_body(schema)


def _admits(node: ir.Node, schema: Schema) -> bool:
    """Whether the type parameters of all that is floating at a node may be float64.

    What the standard has in float32 whatever the others are, such as scales, is cast.
    """
    for values, formals in ((node.inputs, schema.inputs), (node.outputs, schema.outputs)):
        for index, value in enumerate(values):
            formal = formals[min(index, len(formals) - 1)]
            free = not formal.type_str.startswith("tensor(")
            floating = value is not None and value.dtype in FLOATING
            if floating and free and _NAME not in formal.types:
                return False
    return True


def _body_of(opsets: dict[str, int]) -> Callable[[ir.Node], Body | None]:
    def body_of(node: ir.Node) -> Body | None:
        found = in_double(node.domain, node.op_type)
        if found is not None:
            return found[0]
        schema = schema_of_node(node, opsets)
        entry = lookup(node.domain, node.op_type, schema.since_version if schema else 0)
        return entry if isinstance(entry, Body) else None

    return body_of
