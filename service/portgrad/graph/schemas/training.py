"""ai.onnx.preview.training: what the outputs of Gradient are like, its only operator known here."""

from __future__ import annotations

import onnx
from onnx import TensorProto

DOMAIN = "ai.onnx.preview.training"
GRADIENT = "Gradient"
# What its schema allows of outputs.
_FLOATING = (TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE)


def register() -> None:
    """Let onnx infer that a gradient is like what it is with respect to."""
    schema = onnx.defs.get_schema(GRADIENT, 1, DOMAIN)
    schema.set_type_and_shape_inference_function(_like_operands)
    onnx.defs.deregister_schema(GRADIENT, 1, DOMAIN)
    onnx.defs.register_schema(schema)


def _like_operands(context: onnx.shape_inference.InferenceContext) -> None:
    for index in range(context.get_num_outputs()):
        kind = context.get_input_type(index) if context.has_input(index) else None
        if kind is not None and kind.tensor_type.elem_type in _FLOATING:
            context.set_output_type(index, kind)
