"""com.microsoft: operators on codes, which onnxruntime's quantisation writes (QOperator)."""

from __future__ import annotations

from typing import Any

from portgrad.autodiff.composed import pull_back
from portgrad.autodiff.registry import shaped, straight_through, zero
from portgrad.autodiff.rules.in_numbers import (
    WARNING,
    numbers_behind,
    refuse_channels_last,
    through_numbers,
)
from portgrad.autodiff.rules.quantisation import estimated
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN

# -- one element after the other -----------------------------------------------------------------


@through_numbers("QLinearAdd")
def qlinear_add(op: Op, a: Tensor, b: Tensor) -> Tensor:
    return a + b


@through_numbers("QLinearMul")
def qlinear_mul(op: Op, a: Tensor, b: Tensor) -> Tensor:
    return a * b


@through_numbers("QLinearSigmoid")
def qlinear_sigmoid(op: Op, x: Tensor) -> Tensor:
    return op.Sigmoid(x)


@through_numbers("QLinearLeakyRelu")
def qlinear_leaky_relu(op: Op, x: Tensor, *, alpha: float | None) -> Tensor:
    return op.LeakyRelu(x, alpha=alpha)


@through_numbers("QLinearWhere")
def qlinear_where(op: Op, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return op.Where(condition, x, y)


# -- along axes ----------------------------------------------------------------------------------


@through_numbers("QLinearSoftmax")
def qlinear_softmax(op: Op, x: Tensor, *, axis: int | None, opset: int) -> Tensor:
    if opset >= 13:
        return op.Softmax(x, axis=axis)
    # Older ones are over all axes from this one on.
    flat = op.Flatten(x, axis=1 if axis is None else axis)
    return op.reshape_like(op.Softmax(flat, axis=-1), x)


@through_numbers("QLinearAveragePool")
def qlinear_average_pool(
    op: Op,
    x: Tensor,
    *,
    channels_last: int,
    **window: Any,
) -> Tensor:
    refuse_channels_last(channels_last)
    return op.AveragePool(x, **window)


@through_numbers("QLinearGlobalAveragePool")
def qlinear_global_average_pool(op: Op, x: Tensor, *, channels_last: int) -> Tensor:
    refuse_channels_last(channels_last)
    return op.GlobalAveragePool(x)


zero("QLinearConcat", domain=DOMAIN, warning=WARNING)


@shaped("QLinearConcat", domain=DOMAIN)
def qlinear_concat_shape(
    op: Op, y_scale: Tensor, y_zero_point: Tensor, inputs: list[Tensor], *, axis: int
) -> Tensor:
    return op.Concat(*(op.cast_like(x, y_zero_point) for x in inputs[::3]), axis=axis)


@straight_through("QLinearConcat", domain=DOMAIN)
def qlinear_concat(
    op: Op,
    ct: Tensor,
    y_scale: Tensor,
    y_zero_point: Tensor,
    inputs: list[Tensor],
    *,
    y: Tensor,
    axis: int,
) -> tuple[Tensor, None, list[Tensor | None]]:
    triples = list(zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True))
    codes, scales = [op.single(x) for x, _, _ in triples], [op.single(s) for _, s, _ in triples]
    numbers = [
        numbers_behind(op, code, scale, zero_point)
        for code, scale, (_, _, zero_point) in zip(codes, scales, triples, strict=True)
    ]
    exact = op.shaped_as(op.Concat(*numbers, axis=axis), y)
    spread, shift = op.spread_scale(op.single(y_scale), y, 0, 0), op.single(y_zero_point)
    ct_exact, ct_scale = estimated(op, ct, exact, spread, shift, y.dtype)
    cts = pull_back(op, exact, ct_exact, [*codes, *scales])
    found: list[Tensor | None] = []
    for k, (_, scale, _) in enumerate(triples):
        found += [cts[k], op.cast_like(cts[len(codes) + k], scale), None]
    total = op.sum_to_scale(ct_scale, y_scale, y, 0, 0)
    return op.cast_like(total, y_scale), None, found
