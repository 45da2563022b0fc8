"""Softmax and its logarithm: both rules read the output alone."""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("Softmax")
def softmax(op: Op, ct: Tensor, input: Tensor, *, output: Tensor, axis: int) -> Tensor:
    return output * (ct - op.reduce_sum(ct * output, [axis]))


@vjp("LogSoftmax")
def log_softmax(op: Op, ct: Tensor, input: Tensor, *, output: Tensor, axis: int) -> Tensor:
    return ct - op.Exp(output) * op.reduce_sum(ct, [axis])
