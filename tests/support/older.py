"""Rows of the rule table in the form that an older opset gave their operator, where it had one.

Operands that were attributes become attributes again. What the older schema did not have (another
attribute, an operand, a dtype, NumPy's broadcasting) leaves no such form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from support.double import Arrays
from support.rig import Row, port

Schema = onnx.defs.OpSchema
_REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod SumSquare".split()
# Below which opset operands were attributes: their positions and names, and whether one number.
_ATTRIBUTES: Mapping[str, tuple[int, dict[int, str]]] = {
    "Clip": (11, {1: "min", 2: "max"}),
    "DFT": (20, {2: "axis"}),
    "Dropout": (12, {1: "ratio"}),
    "Pad": (11, {1: "pads", 2: "value"}),
    "ReduceSum": (13, {1: "axes"}),
    **{f"Reduce{name}": (18, {1: "axes"}) for name in _REDUCTIONS},
    "Reshape": (5, {1: "shape"}),
    "Slice": (10, {1: "starts", 2: "ends", 3: "axes"}),
    "Split": (13, {1: "split"}),
    "Squeeze": (13, {1: "axes"}),
    "TopK": (10, {1: "k"}),
    "Unsqueeze": (13, {1: "axes"}),
}
_NUMBERS = {"axis", "k", "max", "min", "ratio", "value"}
# Attributes that are required below an opset, with a value that says what is meant anyway.
_REQUIRED: Mapping[str, tuple[int, dict[str, Any]]] = {
    "BatchNormalization": (7, {"is_test": 1, "consumed_inputs": [0, 0, 0, 1, 1]}),
}
_NAMES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


def versions(op: str, below: int) -> list[int]:
    """The schema versions of an operator under an opset, newest first."""
    found, opset = [], below - 1
    while opset >= 1 and onnx.defs.has(op, opset, ""):
        found.append(int(onnx.defs.get_schema(op, opset, "").since_version))
        opset = found[-1] - 1
    return found


def older(row: Row, version: int) -> tuple[onnx.ModelProto, Arrays] | None:
    """A float32 row as a model of an older opset with its feeds; None where it has no such form."""
    schema = onnx.defs.get_schema(row.op, version, "")
    operands, attributes = _old_form(row, version)
    arrays = {
        f"x{i}": x.astype(np.float32) if x.dtype == np.float64 else x
        for i, x in operands.items()
        if x is not None
    }
    names = [f"x{i}" if x is not None else "" for i, x in operands.items()]
    if schema.deprecated or not _fits(schema, [arrays.get(name) for name in names], attributes):
        return None
    if len(row.output_names) > schema.max_output:
        return None
    node = helper.make_node(row.op, names, row.output_names, "node")
    node.attribute.extend(_attribute(schema, *item) for item in attributes.items())
    constant = {f"x{i}" for i in row.constants if f"x{i}" in arrays}
    graph = helper.make_graph(
        [node],
        "row",
        [port(name, x) for name, x in arrays.items() if name not in constant],
        [onnx.ValueInfoProto(name=name) for name in row.output_names if name],
        [numpy_helper.from_array(arrays[name], name) for name in sorted(constant)],
    )
    imports = [helper.make_opsetid("", version)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    feeds = {name: x for name, x in arrays.items() if name not in constant}
    return _typed(model, row), feeds


def _old_form(row: Row, version: int) -> tuple[dict[int, Any], dict[str, Any]]:
    """The operands by their positions in the row, and the attributes."""
    operands, attributes = dict(enumerate(row.inputs)), dict(row.attributes)
    below, given = _REQUIRED.get(row.op, (0, {}))
    if version < below:
        known = onnx.defs.get_schema(row.op, version, "").attributes
        attributes |= {name: value for name, value in given.items() if name in known}
    below, moved = _ATTRIBUTES.get(row.op, (0, {}))
    if version < below:
        for position, name in moved.items():
            array = operands.pop(position, None)
            if array is not None:
                attributes[name] = array.reshape(-1)[0] if name in _NUMBERS else array.tolist()
    attributes = {n: v for n, v in attributes.items() if not _unsaid(row, version, n, v)}
    if row.op == "Resize" and version < 13:
        _with_empty_operands(operands, version)
    while operands and operands[max(operands)] is None:
        del operands[max(operands)]
    return operands, attributes


def _unsaid(row: Row, version: int, name: str, value: Any) -> bool:
    """Whether an attribute came later and has its default, which is what was meant before."""
    old, new = (onnx.defs.get_schema(row.op, v, "").attributes for v in (version, row.opset))
    if name in old or name not in new:
        return False
    return bool(helper.make_attribute(name, value) == new[name].default_value)


def _with_empty_operands(operands: dict[int, Any], version: int) -> None:
    """Opset 11 wants an empty tensor where nothing is meant; 10 has no regions."""
    if version == 10:
        operands.pop(1, None)
        return
    for position in [1, 2] if operands.get(1) is None else [2]:
        if operands.get(position) is None:
            operands[position] = np.zeros(0, np.float32)


def _fits(schema: Schema, arrays: list[Any], attributes: dict[str, Any]) -> bool:
    required = {name for name, a in schema.attributes.items() if a.required}
    if not required <= set(attributes) <= set(schema.attributes):
        return False
    if not schema.min_input <= len(arrays) <= schema.max_input:
        return False
    formals = [schema.inputs[min(i, len(schema.inputs) - 1)] for i in range(len(arrays))]
    return all(map(_takes, formals, arrays))


def _takes(formal: Any, array: Any) -> bool:
    if array is None:
        return bool(formal.option == Schema.FormalParameterOption.Optional)
    return f"tensor({_NAMES.get(array.dtype, array.dtype.name)})" in formal.types


def _attribute(schema: Schema, name: str, value: Any) -> onnx.AttributeProto:
    kind = schema.attributes[name].type
    if kind == Schema.AttrType.FLOAT:
        value = float(value)
    if kind == Schema.AttrType.STRING and not isinstance(value, str):
        value = onnx.TensorProto.DataType.Name(int(value))  # Cast's `to`
    return helper.make_attribute(name, value, attr_type=int(kind.value))


def _typed(model: onnx.ModelProto, row: Row) -> onnx.ModelProto:
    """The model with types of its outputs, where onnx infers none those that the row has."""
    typed = onnx.shape_inference.infer_shapes(model)
    newer = {value.name: value for value in row.model(np.float32).graph.output}
    for value in typed.graph.output:
        if not value.type.tensor_type.elem_type:
            value.CopyFrom(newer[value.name])
    return typed
