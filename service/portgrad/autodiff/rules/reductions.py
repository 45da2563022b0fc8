"""Reductions over axes, which may be given, absent or known only when the net runs."""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("ReduceSum")
def reduce_sum(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    return op.expand_reduced(ct, data, axes, keepdims, noop_with_empty_axes), None


@vjp("ReduceMean")
def reduce_mean(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    reduced: Tensor,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    share = op.share(data, reduced, op.reduced_axes(data, axes, noop_with_empty_axes))
    return op.expand_reduced(ct * share, data, axes, keepdims, noop_with_empty_axes), None
