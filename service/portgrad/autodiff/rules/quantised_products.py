"""Products of codes, whose derivatives only the straight-through estimator has: those of the
product of the numbers behind the codes. The forward pass stays in integers.
"""

from __future__ import annotations

from typing import Any

from portgrad.autodiff.composed import pull_back
from portgrad.autodiff.registry import straight_through, zero
from portgrad.autodiff.rules.quantisation import estimated
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

zero(
    *("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
    warning='it computes codes, so its gradient is zero unless `quantized` is "straight_through"',
)


@straight_through("MatMulInteger")
def mat_mul_integer(
    op: Op,
    ct: Tensor,
    a: Tensor,
    b: Tensor,
    a_zero_point: Tensor | None,
    b_zero_point: Tensor | None,
) -> tuple[Tensor, Tensor, None, None]:
    left, right = op.single(a), op.single(b)
    if a_zero_point is not None:
        a_zero_point = _rows(op, a_zero_point, a)
    product = _less(op, left, a_zero_point) @ _less(op, right, b_zero_point)
    ct_a, ct_b = pull_back(op, product, ct, [left, right])
    return ct_a, ct_b, None, None


@straight_through("QLinearMatMul")
def qlinear_mat_mul(
    op: Op,
    ct: Tensor,
    a: Tensor,
    a_scale: Tensor,
    a_zero_point: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
    *,
    y: Tensor,
) -> tuple[Tensor | None, ...]:
    left, right, *scales = (op.single(x) for x in (a, b, a_scale, b_scale, y_scale))
    rows = _less(op, left, _rows(op, a_zero_point, a)) * _rows(op, scales[0], a)
    product = op.shaped_as(rows @ (_less(op, right, b_zero_point) * scales[1]), y)
    scale, zero_point = (_rows(op, x, a) for x in (scales[2], op.single(y_zero_point)))
    ct_real, ct_scale = estimated(op, ct, product, scale, zero_point, y.dtype)
    ct_a, ct_b, *cts = pull_back(op, product, ct_real, [left, right, *scales[:2]])
    cts.append(op.reshape_like(op.unbroadcast(ct_scale, scale), y_scale))
    given = (a_scale, b_scale, y_scale)
    of_a, of_b, of_y = (op.cast_like(c, s) for c, s in zip(cts, given, strict=True))
    return ct_a, of_a, None, ct_b, of_b, None, of_y, None


@straight_through("ConvInteger")
def conv_integer(
    op: Op,
    ct: Tensor,
    x: Tensor,
    w: Tensor,
    x_zero_point: Tensor | None,
    w_zero_point: Tensor | None,
    *,
    y: Tensor,
    **geometry: Any,
) -> tuple[Tensor, Tensor, None, None]:
    data, kernel = op.single(x), op.single(w)
    if w_zero_point is not None:
        w_zero_point = _channels(op, w_zero_point, w)
    weights = _less(op, kernel, w_zero_point)
    product = op.shaped_as(op.Conv(_less(op, data, x_zero_point), weights, None, **geometry), y)
    ct_x, ct_w = pull_back(op, product, ct, [data, kernel])
    return ct_x, ct_w, None, None


@straight_through("QLinearConv")
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
    **geometry: Any,
) -> tuple[Tensor | None, ...]:
    data, kernel = op.single(x), op.single(w)
    weights = _less(op, kernel, _channels(op, w_zero_point, w)) * _channels(op, w_scale, w)
    # The bias is in the codes of an accumulator, whose scale is the product of both.
    shift = None if b is None else op.single(b)
    bias = None if shift is None else shift * (x_scale * w_scale)
    real = _less(op, data, x_zero_point) * x_scale
    product = op.shaped_as(op.Conv(real, weights, bias, **geometry), y)
    zero_point = op.single(y_zero_point)
    ct_real, ct_scale = estimated(op, ct, product, y_scale, zero_point, y.dtype)
    targets = [data, kernel, x_scale, w_scale, *([] if shift is None else [shift])]
    ct_x, ct_w, of_x, of_w, *ct_b = pull_back(op, product, ct_real, targets)
    of_y = op.sum_to_scale(ct_scale, y_scale, y, 1, 0)
    return ct_x, of_x, None, ct_w, of_w, None, of_y, None, (ct_b[0] if ct_b else None)


def _less(op: Op, codes: Tensor, zero_point: Tensor | None) -> Tensor:
    """Codes less their zero point."""
    return codes if zero_point is None else codes - op.single(zero_point)


def _rows(op: Op, x: Tensor, matrix: Tensor) -> Tensor:
    """One number for each row of a matrix, in a shape that broadcasts to it."""
    return op.unsqueeze(x, 1) if op.rank(x) == 1 and op.rank(matrix) > 1 else x


def _channels(op: Op, x: Tensor, kernel: Tensor) -> Tensor:
    """One number for each output channel of a kernel, in a shape that broadcasts to it."""
    return op.unsqueeze(x, *range(1, op.rank(kernel))) if op.rank(x) == 1 else x
