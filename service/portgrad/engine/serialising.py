"""A graph as the bytes that a session is made of, in less than half of onnx_ir's time.

What a runtime has no use for is left out: documentation, metadata, what is noted of quantisation,
and the types of initializers, which their tensors tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import onnx_ir as ir
from onnx import AttributeProto

_Kind = ir.AttributeType


def as_bytes(model: ir.Model) -> bytes:
    """A model without functions, serialised."""
    proto = onnx.ModelProto(ir_version=model.ir_version)
    for domain, version in model.opset_imports.items():
        proto.opset_import.add(domain=domain, version=version)
    _Writer().graph(proto.graph, model.graph)
    content: bytes = proto.SerializeToString()
    return content


class _Writer:
    """Writes graphs; few types differ, so each is made once."""

    def __init__(self) -> None:
        self._types: dict[tuple[Any, ...], onnx.TypeProto] = {}

    def graph(self, proto: onnx.GraphProto, graph: ir.Graph) -> None:
        """Fill in a graph."""
        proto.name = graph.name or ""
        for value in graph.inputs:
            self._value(proto.input, value)
        for value in graph.outputs:
            self._value(proto.output, value)
        for name, value in graph.initializers.items():
            if value.const_value is not None:
                tensor = proto.initializer.add()
                ir.serde.serialize_tensor_into(tensor, value.const_value)
                tensor.name = name
        for node in graph:
            self._node(proto, node)

    def _node(self, graph: onnx.GraphProto, node: ir.Node) -> None:
        outputs = [value.name or "" for value in node.outputs]
        while outputs and not outputs[-1]:
            outputs.pop()
        proto = graph.node.add(
            op_type=node.op_type,
            name=node.name or None,
            input=["" if value is None else value.name for value in node.inputs],
            output=outputs,
        )
        if node.domain:
            proto.domain = node.domain
        for attribute in node.attributes.data.values():
            self._attribute(proto, attribute)
        for value in node.outputs:
            if value.name and value.type is not None and not value.is_graph_output():
                self._value(graph.value_info, value)

    def _attribute(self, node: onnx.NodeProto, attribute: ir.Attr) -> None:
        kind, value = attribute.type, attribute.value
        if attribute.is_ref():
            raise ValueError(f"the attribute {attribute.name} refers to one of a function")
        if kind in _PLAIN:
            field, number = _PLAIN[kind]
            node.attribute.add(name=attribute.name, type=number, **{field: value})
        elif kind == _Kind.GRAPH:
            proto = node.attribute.add(name=attribute.name, type=AttributeProto.GRAPH)
            self.graph(proto.g, value)
        else:
            ir.serde.serialize_attribute_into(node.attribute.add(), attribute)

    def _value(self, into: Any, value: ir.Value) -> None:
        if isinstance(value.type, ir.TensorType):
            into.add(name=value.name, type=self._tensor_type(value.type, value.shape))
        else:
            ir.serde.serialize_value_into(into.add(), value)

    def _tensor_type(self, kind: ir.TensorType, shape: ir.Shape | None) -> onnx.TypeProto:
        key = (kind.dtype, None if shape is None else shape.dims)
        found = self._types.get(key)
        if found is None:
            found = self._types[key] = onnx.TypeProto()
            found.tensor_type.elem_type = kind.dtype
            for dim in shape if shape is not None else ():
                fields = {"dim_value": dim} if isinstance(dim, int) else {"dim_param": dim.value}
                found.tensor_type.shape.dim.add(**fields)
            if shape is not None:  # also one without axes
                found.tensor_type.shape.SetInParent()
        return found


# What an attribute of simple numbers is written to.
_PLAIN: Mapping[ir.AttributeType, tuple[str, int]] = {
    _Kind.INT: ("i", AttributeProto.INT),
    _Kind.FLOAT: ("f", AttributeProto.FLOAT),
    _Kind.INTS: ("ints", AttributeProto.INTS),
    _Kind.FLOATS: ("floats", AttributeProto.FLOATS),
}
