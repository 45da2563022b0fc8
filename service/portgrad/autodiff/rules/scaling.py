"""Division by the size of X: a norm, a deviation."""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

_DEVIATION_EPSILON = 1e-9  # in the function body of MeanVarianceNormalization


@vjp("LpNormalization", kink="0 where the norm is 0")
def lp_normalization(op: Op, ct: Tensor, input: Tensor, *, axis: int, p: int) -> Tensor:
    reduce = op.ReduceL1 if p == 1 else op.ReduceL2
    norm = reduce(input, [axis], keepdims=1)
    empty = op.Equal(norm, 0.0)
    inv = op.Where(empty, 0.0, op.Reciprocal(op.Where(empty, 1.0, norm)))
    slope = op.Sign(input) if p == 1 else input * inv  # of the norm
    return ct * inv - slope * (op.reduce_sum(ct * input, [axis]) * inv * inv)


@vjp("MeanVarianceNormalization", kink="as if the deviation were fixed where it is 0")
def mean_variance_normalization(op: Op, ct: Tensor, x: Tensor, *, axes: list[int]) -> Tensor:
    d = x - op.reduce_mean(x, axes)
    deviation = op.Sqrt(op.reduce_mean(d * d, axes))
    flat = op.Equal(deviation, 0.0)
    inv = op.Reciprocal(deviation + _DEVIATION_EPSILON)
    slope = op.Where(flat, 0.0, inv * inv / op.Where(flat, 1.0, deviation))
    return (ct - op.reduce_mean(ct, axes)) * inv - d * (op.reduce_mean(ct * d, axes) * slope)
