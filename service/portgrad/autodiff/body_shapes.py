"""Shapes of the runtime's own operators, of which onnx knows nothing.

They follow from their bodies, or from what is registered for their shapes alone. What has a rule
in place of a body has the shape of an operand.
"""

from __future__ import annotations

import math
from contextvars import ContextVar

import onnx
import onnx_ir as ir

from portgrad.autodiff.bodies import MOST_READ, Inference, registered
from portgrad.autodiff.emitter import schema_of
from portgrad.autodiff.registry import Body, entries, shapes
from portgrad.errors import Unsupported
from portgrad.graph.opsets import WORKING_OPSET
from portgrad.graph.schemas import contrib

# A body that leaves some outputs to the node itself contains it, so its inference asks once more.
_ASKED: ContextVar[frozenset[str]] = ContextVar("_ASKED", default=frozenset())
_SHAPED_AS = {
    (contrib.DOMAIN, "Inverse"): 0,
    (contrib.DOMAIN, "NGramRepeatBlock"): 1,
}


def know_shapes() -> None:
    """Let onnx infer through the runtime's own operators."""
    for key, index in _SHAPED_AS.items():
        contrib.SHAPES[key] = _as_operand(index)
    for (domain, name), found in entries().items():
        for entry in found:
            if domain == contrib.DOMAIN and isinstance(entry, Body):
                contrib.SHAPES[domain, name] = _shapes(entry, schema_of(name, 1, domain))
    for (domain, name), entry in shapes().items():
        contrib.SHAPES[domain, name] = _shapes(entry, schema_of(name, 1, domain))


def _shapes(entry: Body, schema: onnx.defs.OpSchema) -> contrib.Shapes:
    """What onnx's inference asks for: the types of a node's outputs, read off its body."""

    def infer(context: onnx.shape_inference.InferenceContext) -> list[onnx.TypeProto | None]:
        node = None if schema.name in _ASKED.get() else _node(context, schema)
        if node is None:
            return []
        asked = _ASKED.set(_ASKED.get() | {schema.name})
        try:
            # In a net that was made double, the operator takes what its schema does not have.
            double = any(v is not None and v.dtype == ir.DataType.DOUBLE for v in node.inputs)
            how: Inference = "lenient" if double else "strict"
            body = registered(entry, node, {schema.domain: 1, "": WORKING_OPSET}, how)
        except Unsupported:
            return []
        finally:
            _ASKED.reset(asked)
        return [ir.serde.serialize_value(v).type for v in body.graph.outputs]

    return infer


def _node(
    context: onnx.shape_inference.InferenceContext, schema: onnx.defs.OpSchema
) -> ir.Node | None:
    """The node that is being inferred; None where the type of an operand is not known."""
    operands = [_operand(context, index) for index in range(context.get_num_inputs())]
    if any(value is not None and value.dtype is None for value in operands):
        return None
    attributes = [
        ir.serde.deserialize_attribute(found)
        for name in schema.attributes
        if (found := context.get_attribute(name)) is not None
    ]
    count = context.get_num_outputs()
    node = ir.Node(schema.domain, schema.name, operands, attributes, num_outputs=count)
    for index, value in enumerate(node.outputs):
        value.name = f"output{index}"
    return node


def _operand(context: onnx.shape_inference.InferenceContext, index: int) -> ir.Value | None:
    kind = context.get_input_type(index) if context.has_input(index) else None
    if kind is None:
        return None
    info = onnx.ValueInfoProto(name=f"operand{index}", type=kind)
    value = ir.serde.deserialize_value_info_proto(info, None)
    sizes = [dim.dim_value for dim in kind.tensor_type.shape.dim]
    data = context.get_input_data(index) if math.prod(sizes) <= MOST_READ else None
    if data is not None:
        value.const_value = ir.serde.deserialize_tensor(data)
        ir.Graph((), (), nodes=(), initializers=(value,))
    return value


def _as_operand(index: int) -> contrib.Shapes:
    """The first output has the type of an operand."""
    return lambda context: [context.get_input_type(index)]
