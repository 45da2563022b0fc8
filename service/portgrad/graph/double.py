"""A net in double precision: every floating tensor of it becomes float64.

Float8 and the like are codes of quantisation and stay. An operator whose standard fixes a dtype of
its own keeps it, between casts, unless the caller says it in other operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.graph.casts import BETWEEN, surround
from portgrad.graph.taken import value_names
from portgrad.graph.types import DIFFERENTIABLE

_DOUBLE, _FLOAT = ir.DataType.DOUBLE, ir.DataType.FLOAT
_NAME = "tensor(double)"
# Attributes that name the dtype a node computes or answers in, where they name a floating one.
_DTYPES = frozenset({"dtype", "output_datatype", "softmax_precision", "to"})
# What an operator answers in where it names no dtype, though no operand says it.
_DEFAULT_FLOAT = {
    "BlackmanWindow": "output_datatype",
    "HammingWindow": "output_datatype",
    "HannWindow": "output_datatype",
    "MelWeightMatrix": "output_datatype",
    "RandomNormal": "dtype",
    "RandomUniform": "dtype",
    "SequenceEmpty": "dtype",
}
# Operands of a fixed dtype that are read when compiling, so that a cast would hide them.
_READ = {("Resize", 2)}


def widen(model: ir.Model, spared: Callable[[ir.Node], bool]) -> None:
    """Make every floating tensor of a model float64, in place; what is so already stays.

    Args:
        model: a normalised net of its own: no other model shares its values, but maybe tensors.
        spared: which nodes need no casts where their operator takes no float64, since others will
            take their place.
    """
    graph = model.graph
    kept = {
        v
        for node in graph.all_nodes()
        if BETWEEN in node.meta
        for v in (*node.outputs, *node.inputs)
        if v is not None and v.dtype in DIFFERENTIABLE
    }
    narrow = {
        value: dtype
        for value in _values(graph)
        if value not in kept and (dtype := _elements(value.type)) in DIFFERENTIABLE - {_DOUBLE}
    }
    originals = {value: value.const_value for value in narrow}
    for value in narrow:
        value.type = _widened(value.type)
        if value.is_initializer() and value.const_value is not None:
            value.const_value = _tensor(value.const_value)
    stem = _free(value_names(graph))
    for count, node in enumerate(list(graph.all_nodes())):
        if BETWEEN in node.meta:
            continue
        schema = _schema(node, graph.opset_imports)
        fixed = {} if schema is None or spared(node) else _fixed(node, schema, narrow)
        for index in [k for k in fixed.get("inputs", ()) if (node.op_type, k) in _READ]:
            _restore(node, index, originals, f"{stem}{count}:{index}")
            del fixed["inputs"][index]
        if any(fixed.values()):
            surround(node, f"{stem}{count}", fixed["inputs"], fixed["outputs"])
        else:
            _set_attributes(node)


def retyped(model: ir.Model) -> ir.Model:
    """A copy of a net in which floating tensors are called float64, for whoever asks for names and
    types: its nodes are those of the net, and it cannot run.
    """
    twin = model.clone()
    twin.meta.update(model.meta)
    for value in _values(twin.graph):
        value.type = _widened(value.type)
    return twin


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    for inner in (graph, *graph.subgraphs()):
        yield from (*inner.inputs, *inner.initializers.values())
    for node in graph.all_nodes():
        yield from node.outputs


def _elements(kind: Any) -> ir.DataType | None:
    """The dtype of a tensor, or of those that a sequence or optional holds."""
    while isinstance(kind, ir.SequenceType | ir.OptionalType):
        kind = kind.elem_type
    return kind.dtype if isinstance(kind, ir.TensorType) else None


def _widened(kind: Any) -> Any:
    if isinstance(kind, ir.SequenceType | ir.OptionalType):
        return type(kind)(_widened(kind.elem_type))
    if isinstance(kind, ir.TensorType) and kind.dtype in DIFFERENTIABLE:
        return ir.TensorType(_DOUBLE)
    return kind


def _tensor(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    if tensor.dtype not in DIFFERENTIABLE:
        return tensor
    return ir.Tensor(tensor.numpy().astype(np.float64), name=tensor.name)


def _free(taken: set[str]) -> str:
    stem = "in-double/"
    while any(name.startswith(stem) for name in taken):
        stem = f"_{stem}"
    return stem


def _schema(node: ir.Node, opsets: dict[str, int]) -> onnx.defs.OpSchema | None:
    version = node.version or opsets.get(node.domain, 1)
    if not onnx.defs.has(node.op_type, version, node.domain):
        return None
    return onnx.defs.get_schema(node.op_type, version, node.domain)


def _fixed(
    node: ir.Node, schema: onnx.defs.OpSchema, narrow: dict[ir.Value, ir.DataType]
) -> dict[str, dict[int, ir.DataType]]:
    """The operands and outputs that can be no float64 by the standard, and what they were."""
    sides = {"inputs": (node.inputs, schema.inputs), "outputs": (node.outputs, schema.outputs)}
    found: dict[str, dict[int, ir.DataType]] = {}
    for side, (values, formals) in sides.items():
        found[side] = {
            index: narrow.get(value, _FLOAT)
            for index, value in enumerate(values)
            if value is not None
            and value.dtype == _DOUBLE
            and isinstance(value.type, ir.TensorType)
            and _NAME not in formals[min(index, len(formals) - 1)].types
        }
    return found


def _restore(
    node: ir.Node, index: int, originals: dict[ir.Value, ir.TensorProtocol | None], name: str
) -> None:
    """Give a node an operand as the file has it: the constant itself, or a cast of the value."""
    value, graph = node.inputs[index], node.graph
    assert value is not None, "an operand that was found"
    assert graph is not None, "a node that was found in a graph lies in one"
    tensor = originals.get(value) if value.is_initializer() else None
    if tensor is None and value.producer() is not None:
        held = ir.convenience.get_const_tensor(value)
        tensor = None if held is None else ir.Tensor(held.numpy().astype(np.float32))
    if tensor is None:
        cast = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(_FLOAT))], num_outputs=1)
        cast.outputs[0].name, cast.outputs[0].type = name, ir.TensorType(_FLOAT)
        cast.outputs[0].shape = value.shape
        graph.insert_before(node, cast)
        made = cast
    else:
        made = ir.Node("", "Constant", [], [ir.AttrTensor("value", tensor)], num_outputs=1)
        made.outputs[0].name, made.outputs[0].type = name, ir.TensorType(tensor.dtype)
        made.outputs[0].shape = ir.Shape(tensor.numpy().shape)
        graph.insert_before(node, made)
    made.meta[BETWEEN] = True
    node.replace_input_with(index, made.outputs[0])


def _set_attributes(node: ir.Node) -> None:
    """What a node's attributes say of dtypes, in float64."""
    for attribute in list(node.attributes.values()):
        new = _attribute(attribute)
        if new is not attribute:
            del node.attributes[attribute.name]
            node.attributes[new.name] = new
    if node.domain:
        return
    default = _DEFAULT_FLOAT.get(node.op_type)
    if default is not None and default not in node.attributes:
        node.attributes[default] = ir.AttrInt64(default, int(_DOUBLE))
    if node.op_type == "ConstantOfShape" and "value" not in node.attributes:
        node.attributes["value"] = ir.AttrTensor("value", ir.Tensor(np.zeros(1)))


def _attribute(attribute: ir.Attr) -> ir.Attr:
    name = attribute.name
    if attribute.type == ir.AttributeType.TENSOR:
        tensor = attribute.as_tensor()
        wide = _tensor(tensor)
        return attribute if wide is tensor or tensor.dtype == _DOUBLE else ir.AttrTensor(name, wide)
    if attribute.type == ir.AttributeType.TYPE_PROTO:
        held = attribute.value
        return ir.AttrTypeProto(name, ir.TypeAndShape(_widened(held.type), held.shape))
    if attribute.type == ir.AttributeType.INT and name in _DTYPES:
        named = attribute.as_int() in map(int, DIFFERENTIABLE)
        return ir.AttrInt64(name, int(_DOUBLE)) if named else attribute
    if name in {"value_float", "value_floats"}:
        return ir.AttrTensor("value", ir.Tensor(np.asarray(attribute.value, np.float64)))
    return attribute
