"""From codes to numbers, with scales in float64. Codes themselves are made in float32, as the
standard has it.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN


@double_body("DequantizeLinear")
def dequantize_linear(
    op: Op,
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor | None,
    *,
    axis: int,
    block_size: int,
) -> Tensor:
    # With scales of 1 the float32 kernel gives codes less zero points, of which it holds those of
    # 16 bits exactly; it rounds those of 32 bits, which the runtime's double arithmetic does not.
    if x.dtype == ir.DataType.INT32:
        steps = op.cast_like(x, x_scale)
        if x_zero_point is not None:
            zero = op.cast_like(x_zero_point, x_scale)
            steps = steps - op.spread_scale(zero, steps, axis, block_size)
    else:
        ones = op.ones_like(op.single(x_scale))
        plain = op.DequantizeLinear(x, ones, x_zero_point, axis=axis, block_size=block_size)
        steps = op.cast_like(op.shaped_as(plain, x), x_scale)
    return steps * op.spread_scale(x_scale, steps, axis, block_size)


@double_body("DequantizeLinear", domain=DOMAIN)
def dequantize_linear_ms(
    op: Op, x: Tensor, x_scale: Tensor, x_zero_point: Tensor | None, *, axis: int | None
) -> Tensor:
    place = 1 if axis is None else axis
    given = (x, x_scale, x_zero_point)
    return op.wrap(dequantize_linear(op, *given, axis=place, block_size=0).value)


@double_body("DynamicQuantizeLinear")
def dynamic_quantize_linear(op: Op, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    made: Any = op.DynamicQuantizeLinear(op.Cast(x, to=ir.DataType.FLOAT), outputs=3)
    y, _, zero_point = made
    top = op.Max(op.ReduceMax(x, keepdims=0), 0.0)
    bottom = op.Min(op.ReduceMin(x, keepdims=0), 0.0)
    return y, (top - bottom) / 255.0, zero_point
