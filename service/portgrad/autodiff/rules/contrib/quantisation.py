"""com.microsoft: quantisation as the standard has it, for types that the standard had later."""

from __future__ import annotations

from typing import Any

from portgrad.autodiff.registry import Cotangents, shaped, straight_through, vjp, zero
from portgrad.autodiff.rules import quantisation, quantised_products
from portgrad.autodiff.rules.in_numbers import WARNING, refuse_channels_last
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN

zero("QLinearConv", "QuantizeLinear", domain=DOMAIN, warning=WARNING)


@shaped("QuantizeLinear", domain=DOMAIN, whole=True)
def quantize_linear_meaning(
    op: Op, x: Tensor, y_scale: Tensor, y_zero_point: Tensor | None, *, axis: int | None
) -> Tensor:
    return op.QuantizeLinear(x, y_scale, y_zero_point, axis=1 if axis is None else axis)


@straight_through("QuantizeLinear", domain=DOMAIN)
def quantize_linear(
    op: Op,
    ct: Tensor,
    x: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor | None,
    *,
    y: Tensor,
    axis: int | None,
) -> Cotangents:
    layout = {"axis": 1 if axis is None else axis, "block_size": 0}
    found: Cotangents = quantisation.quantize_linear(
        op, ct, x, y_scale, y_zero_point, y=y, **layout
    )
    return found


@shaped("DequantizeLinear", domain=DOMAIN, whole=True)
def dequantize_linear_meaning(
    op: Op, x: Tensor, x_scale: Tensor, x_zero_point: Tensor | None, *, axis: int | None
) -> Tensor:
    return op.DequantizeLinear(x, x_scale, x_zero_point, axis=1 if axis is None else axis)


@vjp("DequantizeLinear", domain=DOMAIN)
def dequantize_linear(
    op: Op,
    ct: Tensor,
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor | None,
    *,
    axis: int | None,
) -> Cotangents:
    layout = {"axis": 1 if axis is None else axis, "block_size": 0}
    found: Cotangents = quantisation.dequantize_linear(op, ct, x, x_scale, x_zero_point, **layout)
    return found


@shaped("QLinearConv", domain=DOMAIN)
def qlinear_conv_shape(
    op: Op,
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero_point: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
    b: Tensor | None,
    *,
    channels_last: int,
    **geometry: Any,
) -> Tensor:
    refuse_channels_last(channels_last)
    return op.cast_like(op.Conv(op.single(x), op.single(w), **geometry), y_zero_point)


@straight_through("QLinearConv", domain=DOMAIN)
def qlinear_conv(
    op: Op,
    ct: Tensor,
    x: Tensor,
    x_scale: Tensor,
    x_zero_point: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero_point: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
    b: Tensor | None,
    *,
    y: Tensor,
    channels_last: int,
    **geometry: Any,
) -> Cotangents:
    refuse_channels_last(channels_last)
    operands = (x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, b)
    found: Cotangents = quantised_products.qlinear_conv(op, ct, *operands, y=y, **geometry)
    return found
