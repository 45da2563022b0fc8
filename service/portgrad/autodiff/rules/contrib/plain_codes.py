"""com.microsoft: operators that move or multiply codes without scales of their own."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from portgrad.autodiff.composed import pull_back
from portgrad.autodiff.registry import Cotangents, shaped, straight_through, zero
from portgrad.autodiff.rules import quantised_products
from portgrad.autodiff.rules.in_numbers import WARNING
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN

zero("MatMulInteger16", "NhwcMaxPool", domain=DOMAIN, warning=WARNING)


@shaped("MatMulInteger16", domain=DOMAIN)
def mat_mul_integer16_shape(op: Op, a: Tensor, b: Tensor) -> Tensor:
    whole = ir.DataType.INT32 if a.dtype == ir.DataType.INT16 else ir.DataType.UINT32
    return op.Cast(op.single(a) @ op.single(b), to=whole)


@straight_through("MatMulInteger16", domain=DOMAIN)
def mat_mul_integer16(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> Cotangents:
    ct_a, ct_b, *_ = quantised_products.mat_mul_integer(op, ct, a, b, None, None)
    return ct_a, ct_b


@shaped("NhwcMaxPool", domain=DOMAIN)
def nhwc_max_pool_shape(op: Op, x: Tensor, **window: Any) -> Tensor:
    return op.cast_like(_pooled(op, op.single(x), window), x)


@straight_through("NhwcMaxPool", domain=DOMAIN)
def nhwc_max_pool(op: Op, ct: Tensor, x: Tensor, **window: Any) -> Cotangents:
    code = op.single(x)
    return pull_back(op, _pooled(op, code, window), ct, [code])


def _pooled(op: Op, x: Tensor, window: dict[str, Any]) -> Tensor:
    """MaxPool of images whose channels come last."""
    last = op.rank(x) - 1
    pooled = op.MaxPool(op.Transpose(x, perm=[0, last, *range(1, last)]), **window)
    return op.Transpose(pooled, perm=[0, *range(2, last + 1), 1])
