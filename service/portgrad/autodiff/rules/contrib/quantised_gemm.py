"""com.microsoft: matrix products of codes that give numbers, or may."""

from __future__ import annotations

from typing import Any

from portgrad.autodiff.composed import pull_back
from portgrad.autodiff.registry import body, shaped, straight_through
from portgrad.autodiff.rules.quantisation import estimated
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN


@body("MatMulIntegerToFloat", domain=DOMAIN)
def mat_mul_integer_to_float(
    op: Op,
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero_point: Tensor | None,
    b_zero_point: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    steps = op.MatMulInteger(a, b, a_zero_point, b_zero_point)
    product = op.cast_like(steps, a_scale) * (a_scale * b_scale)
    return product if bias is None else product + bias


@body("DynamicQuantizeMatMul", domain=DOMAIN)
def dynamic_quantize_mat_mul(
    op: Op,
    a: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor | None,
    bias: Tensor | None,
) -> Tensor:
    made: Any = op.DynamicQuantizeLinear(a, outputs=3)
    codes, scale, zero_point = made
    operands = (codes, b, scale, b_scale, zero_point, b_zero_point, bias)
    product: Tensor = mat_mul_integer_to_float(op, *operands)
    return product


@body("QGemm", domain=DOMAIN)
def q_gemm(
    op: Op,
    a: Tensor,
    a_scale: Tensor,
    a_zero_point: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor,
    c: Tensor | None,
    y_scale: Tensor | None,
    y_zero_point: Tensor | None,
    *,
    alpha: float,
    transa: int,
    transb: int,
) -> Tensor | None:
    if y_scale is not None:
        return None  # codes
    left, right = op.Transpose(a) if transa else a, op.Transpose(b) if transb else b
    steps = op.MatMulInteger(left, right, a_zero_point, b_zero_point)
    total = steps if c is None else steps + c
    return op.cast_like(total, a_scale) * (a_scale * b_scale * alpha)


@shaped("QGemm", domain=DOMAIN)
def q_gemm_shape(
    op: Op,
    a: Tensor,
    a_scale: Tensor,
    a_zero_point: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor,
    c: Tensor | None,
    y_scale: Tensor | None,
    y_zero_point: Tensor | None,
    *,
    transa: int,
    transb: int,
) -> Tensor:
    product = op.Gemm(op.single(a), op.single(b), transA=transa, transB=transb)
    return op.cast_like(product, a_scale if y_zero_point is None else y_zero_point)


@straight_through("QGemm", domain=DOMAIN)
def q_gemm_of_codes(
    op: Op,
    ct: Tensor,
    a: Tensor,
    a_scale: Tensor,
    a_zero_point: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero_point: Tensor,
    c: Tensor | None,
    y_scale: Tensor,
    y_zero_point: Tensor,
    *,
    y: Tensor,
    alpha: float,
    transa: int,
    transb: int,
) -> tuple[Tensor | None, ...]:
    """With a scale for its result; the body is for the rest."""
    left, right = op.single(a), op.single(b)
    shift = op.single(b_zero_point)
    if transb and op.rank(shift) == 1:  # one for each column of the product
        shift = op.unsqueeze(shift, 1)
    rows = left - op.single(a_zero_point)
    steps = op.Gemm(rows, right - shift, transA=transa, transB=transb)
    sums = steps if c is None else steps + op.single(c)
    exact = op.shaped_as(sums * (a_scale * b_scale * alpha), y)
    ct_exact, ct_scale = estimated(
        op, ct, exact, op.spread_scale(y_scale, y, 0, 0), op.single(y_zero_point), y.dtype
    )
    ct_a, ct_b, of_a, of_b = pull_back(op, exact, ct_exact, [left, right, a_scale, b_scale])
    of_y = op.sum_to_scale(ct_scale, y_scale, y, 0, 0)
    return ct_a, of_a, None, ct_b, of_b, None, None, of_y, None
