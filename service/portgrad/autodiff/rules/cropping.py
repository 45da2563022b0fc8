"""Resize by its region of interest: how far each coordinate moves, times the slope of X there.

Under tf_crop_and_resize the coordinates along an axis are affine in the region's start and end, and
nothing else depends on them. So the cotangent of a coordinate is the slope of the interpolated X
there times the cotangent of what was read, summed over the other axes.
"""

from __future__ import annotations

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


def ends_by_coordinates(op: Op, ct_at: Tensor, old: Tensor) -> tuple[Tensor, Tensor]:
    """The cotangents of a region's start and end from those of the coordinates along its axis."""
    share = _shares(op, ct_at)
    last = op.cast_like(old, ct_at) - 1.0
    return (
        last * op.ReduceSum(ct_at * (1.0 - share), keepdims=1),
        last * op.ReduceSum(ct_at * share, keepdims=1),
    )


def slopes(
    op: Op,
    region: tuple[Tensor, Tensor],
    old: Tensor,
    new: Tensor,
    *,
    mode: str,
    coefficient: float,
    exclude_outside: bool,
) -> Tensor:
    """The derivative by the coordinates of the matrix of an axis: (new size, old size).

    Args:
        op: the emitter.
        region: the start and the end, vectors of one number.
        old: the size of the axis, a vector of one number.
        new: the size that it gets.
        mode: linear or cubic.
        coefficient: of the cubic.
        exclude_outside: whether pixels outside count for nothing.
    """
    start, end = region
    last = op.cast_like(old, start) - 1.0
    share = _shares(op, op.cast_like(op.iota(new), start))
    at = last * (start + share * (end - start))
    padding = "zeros" if exclude_outside and mode == "cubic" else "border"
    taps = op.taps(
        op.Unsqueeze(at, [1]), old, -1, mode=mode, padding=padding, coefficient=coefficient
    )
    slope = taps.slope
    if padding == "zeros":  # what is left of the weights is divided by its sum
        total, grows = (op.reduce_sum(x, [1]) for x in (taps.weight, slope))
        slope = (slope - taps.weight * grows / total) / total
    inside = op.mask(op.And(at >= 0.0, at <= last), start)
    slope = slope * op.Unsqueeze(inside, [1])
    places = op.Equal(op.Unsqueeze(taps.index, [2]), op.iota(old))
    return op.reduce_sum(op.mask(places, start) * op.Unsqueeze(slope, [2]), [1], keepdims=False)


def _shares(op: Op, like: Tensor) -> Tensor:
    """How much of each coordinate along a vector is the region's end: from 0 to 1, ½ of one."""
    count = op.size(like, 0)
    steps = op.cast_like(op.iota(count), like)
    between = op.cast_like(op.Max(count - 1, 1), like)
    return op.Where(op.Equal(count, 1), op.scalar(0.5, like), steps / between)
