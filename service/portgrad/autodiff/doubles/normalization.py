"""Normalisation by mean and variance, in the precision of its operand throughout.

The standard's own bodies of these compute in float32 inside, or in what an attribute says.
"""

from __future__ import annotations

from collections.abc import Sequence

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


def _normal(
    op: Op, x: Tensor, axes: Sequence[int], epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """X without its mean and over its deviation; the mean, and the inverse of the deviation."""
    mean = op.reduce_mean(x, axes)
    centred = x - mean
    inverse = op.inverse_rms(centred, axes, epsilon)
    return centred * inverse, mean, inverse


@double_body("InstanceNormalization")
def instance_normalization(
    op: Op, input: Tensor, scale: Tensor, b: Tensor, *, epsilon: float
) -> Tensor:
    y, _, _ = _normal(op, input, range(2, op.rank(input)), epsilon)
    return y * op.along_channels(scale, y) + op.along_channels(b, y)


@double_body("GroupNormalization")
def group_normalization(
    op: Op, x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float, num_groups: int
) -> Tensor:
    batch, channels, *rows = op.dims(x)
    each = op.quotient(channels, num_groups)
    grouped = op.reshape(x, [batch, num_groups, op.product(each, *rows)])
    y = op.reshape_like(_normal(op, grouped, [2], epsilon)[0], x)
    return y * op.along_channels(scale, y) + op.along_channels(bias, y)


@double_body("MeanVarianceNormalization")
def mean_variance_normalization(op: Op, x: Tensor, *, axes: Sequence[int]) -> Tensor:
    mean = op.reduce_mean(x, axes)
    deviation = op.Sqrt(op.reduce_mean((x - mean) * (x - mean), axes))
    return (x - mean) / (deviation + 1e-9)


@double_body("LayerNormalization")  # whose kernel gives its statistics in float32
def layer_normalization(
    op: Op, x: Tensor, scale: Tensor, b: Tensor | None, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    y, mean, inverse = _normal(op, x, _last(op, x, axis), epsilon)
    y = y * scale
    return (y if b is None else y + b), mean, inverse


@double_body("SimplifiedLayerNormalization")
def simplified_layer_normalization(
    op: Op, x: Tensor, scale: Tensor, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor]:
    inverse = op.inverse_rms(x, _last(op, x, axis), epsilon)
    return x * inverse * scale, inverse


def _last(op: Op, x: Tensor, axis: int) -> list[int]:
    rank = op.rank(x)
    return list(range(axis % rank, rank))
