"""Reductions over axes, which may be given, absent or known only when the net runs."""

from __future__ import annotations

import math

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


# -- extremes ------------------------------------------------------------------------------------


@vjp("ReduceMax", kink="even among ties")
def reduce_max(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    reduced: Tensor,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    return _to_extremes(op, ct, data, axes, reduced, keepdims, noop_with_empty_axes), None


@vjp("ReduceMin", kink="even among ties")
def reduce_min(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    reduced: Tensor,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    return _to_extremes(op, ct, data, axes, reduced, keepdims, noop_with_empty_axes), None


def _to_extremes(
    op: Op, ct: Tensor, data: Tensor, axes: Tensor | None, reduced: Tensor, keep: int, noop: int
) -> Tensor:
    extreme = op.keep_reduced(reduced, data, axes, keep, noop)
    chosen = op.mask(op.Equal(data, extreme), ct)
    ties = op.ReduceSum(chosen, axes, keepdims=1, noop_with_empty_axes=noop)
    return op.shaped_as(chosen * (op.keep_reduced(ct, data, axes, keep, noop) / ties), data)


# -- norms ---------------------------------------------------------------------------------------


@vjp("ReduceL1", kink="0 at 0")
def reduce_l1(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    kept = op.keep_reduced(ct, data, axes, keepdims, noop_with_empty_axes)
    return op.shaped_as(op.Sign(data) * kept, data), None


@vjp("ReduceL2", kink="0 at 0")
def reduce_l2(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    reduced: Tensor,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    norm = op.Where(op.Equal(reduced, 0.0), 1.0, reduced)
    kept = op.keep_reduced(ct / norm, data, axes, keepdims, noop_with_empty_axes)
    return op.shaped_as(data * kept, data), None


@vjp("ReduceSumSquare")
def reduce_sum_square(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    kept = op.keep_reduced(ct * 2.0, data, axes, keepdims, noop_with_empty_axes)
    return op.shaped_as(data * kept, data), None


# -- logarithms ----------------------------------------------------------------------------------


@vjp("ReduceLogSum")
def reduce_log_sum(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    reduced: Tensor,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    slope = ct * op.Exp(-reduced)
    return op.expand_reduced(slope, data, axes, keepdims, noop_with_empty_axes), None


@vjp("ReduceLogSumExp", kink="0 where every element is minus infinity")
def reduce_log_sum_exp(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    reduced: Tensor,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    # Minus infinity less itself would be NaN.
    top = op.Where(op.Equal(reduced, -math.inf), 0.0, reduced)
    kept, kept_ct = (
        op.keep_reduced(x, data, axes, keepdims, noop_with_empty_axes) for x in (top, ct)
    )
    return op.shaped_as(op.Exp(data - kept) * kept_ct, data), None
