"""The operators that onnxruntime adds to the standard, made known to onnx.

`contrib.json` holds what the runtime says of them: names, types and attributes. With these, onnx
checks such nodes, rules bind to them by name, and types go through them. Shapes follow from the
bodies of the operators, which a higher layer knows: it fills `SHAPES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import onnx
import onnx.reference  # first: its import fails once two domains have an operator of one name
from onnx import helper

DOMAIN = "com.microsoft"

_Schema = onnx.defs.OpSchema
# Types of the outputs of a node, in order; None where nothing can be told.
Shapes = Callable[["onnx.shape_inference.InferenceContext"], list[onnx.TypeProto | None]]

SHAPES: dict[tuple[str, str], Shapes] = {}


def register() -> None:
    """Make every operator known to onnx that it does not know yet."""
    text = resources.files(__package__).joinpath("contrib.json").read_text("utf-8")
    for name, plain in json.loads(text).items():
        if not onnx.defs.has(name, plain["since"], plain["domain"]):
            onnx.defs.register_schema(_schema(name, plain))


def _schema(name: str, plain: dict[str, Any]) -> onnx.defs.OpSchema:
    schema = _Schema(
        name,
        plain["domain"],
        plain["since"],
        inputs=[_formal(*formal) for formal in plain["inputs"]],
        outputs=[_formal(*formal) for formal in plain["outputs"]],
        type_constraints=[(key, types, "") for key, types in plain["types"].items()],
        attributes=[_attribute(key, **found) for key, found in plain["attributes"].items()],
    )
    key = (plain["domain"], name)
    schema.set_type_and_shape_inference_function(lambda context: _infer(context, plain, key))
    return schema


def _formal(name: str, option: str, type_name: str) -> onnx.defs.OpSchema.FormalParameter:
    # What may repeat may differ: QLinearConcat takes codes and scales in turn.
    return _Schema.FormalParameter(
        name,
        type_name,
        param_option=getattr(onnx.defs.OpSchema.FormalParameterOption, option),
        is_homogeneous=option != "Variadic",
    )


def _attribute(
    name: str, type: str, required: bool = False, default: Any = None
) -> onnx.defs.OpSchema.Attribute:
    kind = getattr(onnx.defs.OpSchema.AttrType, type)
    if default is None:
        return _Schema.Attribute(name, kind, required=required)
    made = helper.make_attribute(name, default, attr_type=getattr(onnx.AttributeProto, type))
    return _Schema.Attribute(name, made)


def _infer(
    context: onnx.shape_inference.InferenceContext, plain: dict[str, Any], key: tuple[str, str]
) -> None:
    shaped = SHAPES[key](context) if key in SHAPES else []
    shaped += [None] * (len(plain["outputs"]) - len(shaped))
    outputs = zip(shaped, plain["outputs"], strict=True)
    for index, (kind, (_, _, type_name)) in enumerate(outputs):
        kind = kind if kind is not None else _elements(context, plain, type_name)  # noqa: PLW2901
        if kind is not None and index < context.get_num_outputs():
            context.set_output_type(index, kind)


def _elements(
    context: onnx.shape_inference.InferenceContext, plain: dict[str, Any], type_name: str
) -> onnx.TypeProto | None:
    """The element type of an output: the only choice, or that of the first operand that fits.

    Operands of the output's own type parameter come before others.
    """
    allowed = plain["types"].get(type_name, [type_name])
    if len(allowed) == 1:
        return _tensor(allowed[0])
    operands = [
        (other != type_name, _TYPES[given.tensor_type.elem_type])
        for index, (_, _, other) in enumerate(plain["inputs"])
        if context.has_input(index) and (given := context.get_input_type(index)) is not None
    ]
    fitting = [name for _, name in sorted(operands, key=lambda o: o[0]) if name in allowed]
    return _tensor(fitting[0] if fitting else allowed[0])


_TYPES = {number: f"tensor({name.lower()})" for name, number in onnx.TensorProto.DataType.items()}


def _tensor(name: str) -> onnx.TypeProto:
    number = next(number for number, text in _TYPES.items() if text == name)
    return helper.make_tensor_type_proto(number, None)
