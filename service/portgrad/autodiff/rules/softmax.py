"""Softmax and its logarithm: both rules read the output alone."""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("Softmax", kink="0 where every element is minus infinity and a Where replaces the result")
def softmax(
    op: Op, ct: Tensor, input: Tensor, *, output: Tensor, axis: int, chosen: bool
) -> Tensor:
    output = _without_nan(op, output) if chosen else output
    return output * (ct - op.reduce_sum(ct * output, [axis]))


def _without_nan(op: Op, output: Tensor) -> Tensor:
    """Attention so leaves out the NaN of rows that are masked whole. NaN times 0 would be NaN."""
    return op.Where(op.IsNaN(output), op.scalar(0.0, output), output)


@vjp("LogSoftmax", kink="0 where every element is minus infinity and a Where replaces the result")
def log_softmax(
    op: Op, ct: Tensor, input: Tensor, *, output: Tensor, axis: int, chosen: bool
) -> Tensor:
    output = _without_nan(op, output) if chosen else output
    return ct - op.Exp(output) * op.reduce_sum(ct, [axis])
