"""QuantizeLinear and its inverse, and DynamicQuantizeLinear.

The straight-through estimator takes rounding for the identity. With r = x / scale, of which the
code is round(r) + zero_point unless that lies outside of the codes,

    dcode/dx      = 1 / scale        dcode/dscale = -r / scale      where nothing is clamped
                  = 0                             = 0               where the code is clamped

and with y = (code - zero_point) · scale after it: dy/dx is 1 or 0, and dy/dscale is round(r) - r
or the bound, as in learned step size quantisation (arXiv 1902.08153). A zero point is an integer
that is chosen, and has no gradient.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from portgrad.autodiff.composed import pull_back
from portgrad.autodiff.registry import straight_through, vjp, zero
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

zero(
    "QuantizeLinear",
    warning="it makes codes of numbers, so its gradient is zero unless `quantized` is "
    '"straight_through"',
)


@straight_through("QuantizeLinear")
def quantize_linear(
    op: Op,
    ct: Tensor,
    x: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor | None,
    *,
    y: Tensor,
    axis: int,
    block_size: int,
) -> tuple[Tensor, Tensor | None, None]:
    scale = op.spread_scale(op.single(y_scale), x, axis, block_size)
    zero_point = None
    if y_zero_point is not None:
        zero_point = op.spread_scale(op.single(y_zero_point), x, axis, block_size)
    ct_x, ct_scale = estimated(op, ct, op.single(x), scale, zero_point, y.dtype)
    ct_x = op.cast_like(ct_x, x) if x.floating else ct_x
    if not y_scale.floating:
        return ct_x, None, None
    total = op.sum_to_scale(ct_scale, y_scale, x, axis, block_size)
    return ct_x, op.cast_like(total, y_scale), None


def estimated(
    op: Op,
    ct: Tensor,
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor | None,
    code: ir.DataType,
) -> tuple[Tensor, Tensor]:
    """The estimator's cotangents of x, and of the scale before any sum, all in float32.

    Args:
        op: the emitter.
        ct: the cotangent of the codes.
        x: what is quantised.
        scale: in a shape that broadcasts to x's.
        zero_point: likewise, None for 0.
        code: the dtype of the codes.
    """
    ratio = x / scale
    low, high = _bounds(code)
    # A code is clamped if what was rounded lies outside. Narrow floats do not round to integers.
    place = op.Round(ratio) if code.is_integer() else ratio
    place = place if zero_point is None else place + zero_point
    inside = op.And(place >= low, place <= high)
    ct_x = op.shaped_as(op.Where(inside, ct / scale, op.scalar(0.0, ct)), x)
    # Where, since a ratio that is infinite would make NaN of 0.
    return ct_x, -ct_x * op.Where(inside, ratio, op.scalar(0.0, ct))


def _bounds(code: ir.DataType) -> tuple[float, float]:
    """The least and the greatest code."""
    dtype = code.numpy()
    limits: Any = np.iinfo if dtype.kind in "iu" else ml_dtypes.iinfo
    info = (limits if code.is_integer() else ml_dtypes.finfo)(dtype)
    return float(info.min), float(info.max)


@vjp("DequantizeLinear")
def dequantize_linear(
    op: Op,
    ct: Tensor,
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor | None,
    *,
    axis: int,
    block_size: int,
) -> tuple[Tensor, Tensor | None, None]:
    # Sizes are asked of the cotangent: the runtime has no Shape of codes of fewer than 8 bits.
    wide, scale = op.widen(ct, x_scale)
    wide = op.shaped_as(wide, x)
    ct_x = op.single(wide * op.spread_scale(scale, wide, axis, block_size))
    ct_x = op.shaped_as(ct_x, x)
    if not x_scale.floating:
        return ct_x, None, None
    # Scales of 1 give the codes less their zero points.
    steps = op.DequantizeLinear(
        x, op.ones_like(scale), x_zero_point, axis=axis, block_size=block_size
    )
    total = op.sum_to_scale(wide * op.shaped_as(steps, x), x_scale, wide, axis, block_size)
    return ct_x, op.cast_like(total, x_scale), None


@vjp("DynamicQuantizeLinear", kink="by y_scale: even among ties of the least and of the greatest")
def dynamic_quantize_linear(
    op: Op,
    ct: Tensor,
    x: Tensor,
    *,
    ct_y: Tensor | None,
    ct_y_scale: Tensor | None,
    y: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
) -> Tensor:
    # Its codes, whose cotangent only the estimator has, are those of QuantizeLinear.
    totals, found = [ct_y_scale], []
    if ct_y is not None:
        wide, shift = op.widen(ct_y, x)[0], op.cast_like(y_zero_point, x)
        ct_x, ct_scale = estimated(op, wide, x, y_scale, shift, y.dtype)
        found.append(ct_x)
        totals.append(op.ReduceSum(ct_scale, keepdims=0))
    top = op.Max(op.ReduceMax(x, keepdims=0), 0.0)
    bottom = op.Min(op.ReduceMin(x, keepdims=0), 0.0)
    scale = (top - bottom) / 255.0
    for total in totals:
        if total is not None:
            found += pull_back(op, scale, total, [x])
    return found[0] if len(found) == 1 else op.Sum(*found)
