"""Normalisation by mean and variance: of the batch, of each example, or given ones.

Throughout, d is X minus its mean and inv = (variance + epsilon)^-½. If y = slope d with the slope
a factor times inv, a cotangent ct of y is one of X by

    slope (ct - mean ct) - d slope inv² mean(ct d)

which takes two reductions. Halves are computed in float32, as the operators themselves do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from portgrad.autodiff.registry import shaped, vjp
from portgrad.autodiff.rules.convolution import summed_product
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@dataclass(frozen=True)
class Centred:
    """X minus its mean over some axes, with its inverse deviation and 1 / number of elements."""

    d: Tensor
    inv: Tensor
    share: Tensor
    axes: Sequence[int]


def _inverse_deviation(op: Op, variance: Tensor, epsilon: float) -> Tensor:
    return op.Reciprocal(op.Sqrt(variance + epsilon))


def centred(op: Op, x: Tensor, axes: Sequence[int], epsilon: float) -> Centred:
    """X less its mean over some axes, and what belongs to that."""
    mean = op.reduce_mean(x, axes)
    d = x - mean
    inv = _inverse_deviation(op, op.reduce_mean(d * d, axes), epsilon)
    return Centred(d, inv, op.share(x, mean, axes), axes)


def _through(op: Op, ct: Tensor, c: Centred, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cotangent of X from one of slope * d; and the sums of ct and of ct * d."""
    total, product = op.reduce_sum(ct, c.axes), op.reduce_sum(ct * c.d, c.axes)
    step = slope * c.share
    ct_x = ct * slope - (c.d * (step * c.inv * c.inv * product) + step * total)
    return ct_x, total, product


def _like(op: Op, results: Sequence[Tensor], operands: Sequence[Tensor]) -> list[Tensor]:
    return [op.cast_like(ct, x) for ct, x in zip(results, operands, strict=True)]


@vjp("BatchNormalization")
def batch_normalization(
    op: Op,
    ct: Tensor,
    x: Tensor,
    scale: Tensor,
    b: Tensor,
    input_mean: Tensor,
    input_var: Tensor,
    *,
    ct_running_mean: Tensor | None,
    ct_running_var: Tensor | None,
    epsilon: float,
    momentum: float,
    training_mode: int,
) -> list[Tensor]:
    operands = [x, scale, b, input_mean, input_var]
    ct, *wide = op.widen(ct, *operands)
    if not training_mode:
        return _like(op, _by_given_statistics(op, ct, *wide, epsilon=epsilon), operands)
    running = [
        op.zeros_like(old) if c is None else op.cast_like(c, ct)
        for c, old in ((ct_running_mean, wide[3]), (ct_running_var, wide[4]))
    ]
    results = _by_batch_statistics(op, ct, wide[0], wide[1], running, epsilon, momentum)
    return _like(op, results, operands)


def _by_given_statistics(
    op: Op,
    ct: Tensor,
    x: Tensor,
    scale: Tensor,
    b: Tensor,
    mean: Tensor,
    var: Tensor,
    *,
    epsilon: float,
) -> list[Tensor]:
    inv = _inverse_deviation(op, var, epsilon)
    slope = scale * inv
    total = op.sum_to_channels(ct, b)
    product = summed_product(op, ct, x)
    if product is None:
        # Centred before it is summed: a mean far from 0 would cancel afterwards.
        product = op.sum_to_channels(ct * (x - op.along_channels(mean, x)), b)
    else:  # where a mean far from 0 cancels, the convolution's own rounding is as large
        product = product - mean * total
    ct_var = product * slope * inv * inv * -0.5
    return [op.times_channels(ct, slope), product * inv, total, -(total * slope), ct_var]


def _by_batch_statistics(
    op: Op,
    ct: Tensor,
    x: Tensor,
    scale: Tensor,
    running: Sequence[Tensor],
    epsilon: float,
    momentum: float,
) -> list[Tensor]:
    # running = old * momentum + batch statistic * (1 - momentum), of the variance over n.
    c = centred(op, x, [axis for axis in range(op.rank(x)) if axis != 1], epsilon)
    ct_x, total, product = _through(op, ct, c, op.along_channels(scale, x) * c.inv)
    ct_mean, ct_var = (op.along_channels(r, x) * c.share * (1.0 - momentum) for r in running)
    ct_x = ct_x + (c.d * (ct_var * 2.0) + ct_mean)
    ct_scale, ct_b = (op.reshape_like(s, scale) for s in (product * c.inv, total))
    return [ct_x, ct_scale, ct_b, *(r * momentum for r in running)]


@vjp("InstanceNormalization")
def instance_normalization(
    op: Op, ct: Tensor, input: Tensor, scale: Tensor, b: Tensor, *, epsilon: float
) -> list[Tensor]:
    ct, x, wide_scale = op.widen(ct, input, scale)
    c = centred(op, x, range(2, op.rank(x)), epsilon)
    ct_x, total, product = _through(op, ct, c, op.along_channels(wide_scale, x) * c.inv)
    results = [ct_x, op.sum_to_channels(product * c.inv, scale), op.sum_to_channels(total, b)]
    return _like(op, results, [input, scale, b])


@vjp("GroupNormalization", since=21)
def group_normalization(
    op: Op,
    ct: Tensor,
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    *,
    epsilon: float,
    num_groups: int,
) -> list[Tensor]:
    ct, wide, wide_scale = op.widen(ct, x, scale)
    batch, channels, *rest = op.dims(wide)
    groups = [batch, num_groups, op.product(op.Div(op.size(x, 1), num_groups), *rest)]
    if isinstance(channels, int):
        groups[2] = op.product(channels // num_groups, *rest)
    c = centred(op, op.reshape(wide, groups), [2], epsilon)
    g = op.reshape(ct * op.along_channels(wide_scale, x), groups)
    ct_x, _, _ = _through(op, g, c, c.inv)
    normal = op.reshape_like(c.d * c.inv, x)
    results = [
        op.reshape_like(ct_x, x),
        op.sum_to_channels(ct * normal, scale),
        op.sum_to_channels(ct, bias),
    ]
    return _like(op, results, [x, scale, bias])


def _last_axes(op: Op, x: Tensor, axis: int) -> list[int]:
    return list(range(axis, 0)) if axis < 0 else list(range(axis, op.rank(x)))


@vjp("LayerNormalization")
def layer_normalization(
    op: Op,
    ct: Tensor,
    x: Tensor,
    scale: Tensor,
    b: Tensor | None,
    *,
    mean: Tensor,
    invstddev: Tensor,
    ct_mean: Tensor | None,
    ct_invstddev: Tensor | None,
    axis: int,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor | None]:
    ct, wide, wide_scale = op.widen(ct, x, scale)
    axes = _last_axes(op, x, axis)
    if mean.dtype == wide.dtype:
        c = Centred(wide - mean, invstddev, op.share(wide, mean, axes), axes)
    else:  # the operator gives its statistics in a coarser dtype than it computes in
        c = centred(op, wide, axes, epsilon)
    ct_x, _, _ = _through(op, ct * wide_scale, c, c.inv)
    if ct_mean is not None:
        ct_x = ct_x + op.cast_like(ct_mean, wide) * c.share
    if ct_invstddev is not None:
        cube = c.inv * c.inv * c.inv
        ct_x = ct_x - c.d * (op.cast_like(ct_invstddev, wide) * cube * c.share)
    ct_scale = op.cast_like(op.unbroadcast(ct * (c.d * c.inv), scale), scale)
    ct_b = None if b is None else op.cast_like(op.unbroadcast(ct, b), b)
    return op.cast_like(ct_x, x), ct_scale, ct_b


@vjp("RMSNormalization")
def rms_normalization(
    op: Op, ct: Tensor, x: Tensor, scale: Tensor, *, axis: int, epsilon: float
) -> list[Tensor]:
    ct, wide, wide_scale = op.widen(ct, x, scale)
    axes = _last_axes(op, x, axis)
    inv = op.inverse_rms(wide, axes, epsilon)
    return _like(op, _through_rms(op, ct, wide, wide_scale, inv, axes), [x, scale])


def _through_rms(
    op: Op, ct: Tensor, x: Tensor, scale: Tensor, inv: Tensor, axes: Sequence[int]
) -> list[Tensor]:
    g = ct * scale
    projection = op.reduce_mean(g * x, axes) * inv * inv
    return [(g - x * projection) * inv, op.unbroadcast(ct * (x * inv), scale)]


@shaped("SimplifiedLayerNormalization", domain="", whole=True)
def simplified_layer_normalization_meaning(
    op: Op, x: Tensor, scale: Tensor, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor]:
    wide, wide_scale = op.widen(x, scale)
    inv = op.inverse_rms(wide, _last_axes(op, x, axis), epsilon)
    return op.cast_like(wide * inv * wide_scale, scale), op.Cast(inv, to=ir.DataType.FLOAT)


@vjp("SimplifiedLayerNormalization")  # as the runtime's optimizer writes RMSNormalization
def simplified_layer_normalization(
    op: Op,
    ct: Tensor,
    x: Tensor,
    scale: Tensor,
    *,
    inv_std_var: Tensor,
    ct_inv_std_var: Tensor | None,
    axis: int,
    epsilon: float,
) -> list[Tensor]:
    ct, wide, wide_scale = op.widen(ct, x, scale)
    axes = _last_axes(op, x, axis)
    # Beside doubles the runtime keeps it in float32.
    kept = inv_std_var.dtype == wide.dtype
    inv = inv_std_var if kept else op.inverse_rms(wide, axes, epsilon)
    ct_x, ct_scale = _through_rms(op, ct, wide, wide_scale, inv, axes)
    if ct_inv_std_var is not None:
        share = op.share(wide, inv, axes)
        ct_x = ct_x - wide * (op.cast_like(ct_inv_std_var, wide) * inv * inv * inv * share)
    return _like(op, [ct_x, ct_scale], [x, scale])
