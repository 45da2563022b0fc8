"""Pools: what a window was reduced to goes back to the rows that made it."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.shapes import Size
from portgrad.autodiff.vocabulary.windows import Windows

_MANY_ONES = 2**22  # elements of a constant: 16 MB


@vjp("MaxPool", kink="first among ties")
def max_pool(op: Op, ct: Tensor, x: Tensor, *, indices: Tensor, storage_order: int) -> Tensor:
    # Indices count through the whole of x, or, if columns come first, through x with its spatial
    # axes reversed.
    batch, channels, *rows = op.dims(x)
    order = rows[::-1] if storage_order else rows
    whole = op.vector([op.product(batch, channels, *rows)])
    zeros = op.ConstantOfShape(whole, value=np.zeros(1, ct.dtype.numpy()))
    flat, picked = op.Reshape(ct, [-1]), op.Reshape(indices, [-1])
    scattered = op.scatter(zeros, picked, flat, 0, "add")
    ct_x = op.reshape(scattered, [batch, channels, *order])
    if storage_order:
        ct_x = op.Transpose(ct_x, perm=[0, 1, *range(op.rank(x) - 1, 1, -1)])
    return op.shaped_as(ct_x, x)


@vjp("AveragePool")
def average_pool(
    op: Op,
    ct: Tensor,
    x: Tensor,
    *,
    ceil_mode: int,
    count_include_pad: int,
    kernel_shape: Sequence[int],
    **geometry: Any,
) -> Tensor:
    windows = op.windows(x, ct, kernel_shape, ragged=bool(ceil_mode), centred=True, **geometry)
    if not ceil_mode and (count_include_pad or windows.unpadded):
        return _spread_sum(op, ct / float(math.prod(kernel_shape)), x, windows)
    counts = taps_that_count(op, ct, op.dims(ct)[2:], x, windows, count_include_pad)
    return _spread_sum(op, ct / counts, x, windows)


@vjp("LpPool", kink="0 where the norm is 0")
def lp_pool(
    op: Op,
    ct: Tensor,
    x: Tensor,
    *,
    y: Tensor,
    ceil_mode: int,
    kernel_shape: Sequence[int],
    p: int,
    **geometry: Any,
) -> Tensor:
    windows = op.windows(x, ct, kernel_shape, ragged=bool(ceil_mode), centred=True, **geometry)
    return _spread_sum(op, _over_norm(op, ct, y, p), x, windows) * _signed_power(op, x, p)


@vjp("GlobalAveragePool")
def global_average_pool(op: Op, ct: Tensor, x: Tensor) -> Tensor:
    rows = op.product(*op.dims(x)[2:])
    count = float(rows) if isinstance(rows, int) else op.cast_like(rows, ct)
    return op.expand_like(ct / count, x)


@vjp("GlobalMaxPool", kink="first among ties")
def global_max_pool(op: Op, ct: Tensor, x: Tensor) -> Tensor:
    batch, channels, *rows = op.dims(x)
    flat = op.reshape(x, [batch, channels, op.product(*rows)])
    first = op.ArgMax(flat, axis=2)
    updates = op.reshape(ct, [batch, channels, 1])
    spread = op.ScatterElements(op.zeros_like(flat), first, updates, axis=2)
    return op.reshape_like(spread, x)


@vjp("GlobalLpPool", kink="0 where the norm is 0")
def global_lp_pool(op: Op, ct: Tensor, x: Tensor, *, y: Tensor, p: int) -> Tensor:
    return _over_norm(op, ct, y, p) * _signed_power(op, x, p)


# y = (Σ |x|^p)^(1/p), so dy/dx = sign(x) |x|^(p-1) · y^(1-p)


def _signed_power(op: Op, x: Tensor, p: int) -> Tensor:
    if p == 2:
        return x
    return op.Sign(x) if p == 1 else op.Sign(x) * op.Abs(x) ** float(p - 1)


def _over_norm(op: Op, ct: Tensor, y: Tensor, p: int) -> Tensor:
    if p == 1:
        return ct
    nothing = op.scalar(0.0, ct)
    norm = op.Where(y > 0.0, y, op.scalar(1.0, y))
    return op.Where(y > 0.0, ct / (norm if p == 2 else norm ** float(p - 1)), nothing)


def taps_that_count(
    op: Op, like: Tensor, sizes: Sequence[Size], x: Tensor, windows: Windows, include_pad: int
) -> Tensor:
    """How many taps of each window count: those in the image, or also those in its padding.

    Args:
        op: the emitter.
        like: a tensor of the dtype that is wanted.
        sizes: how many windows there are along each axis.
        x: the image.
        windows: how they lie on it.
        include_pad: whether padding counts.
    """
    before, after = windows.shift or (op.ints(*windows.begin), op.ints(*windows.end))
    counts: list[Tensor] = []
    for axis, stride in enumerate(windows.strides):
        at = op.ints(axis)
        first, last, rows = op.Gather(before, at), op.Gather(after, at), op.size(x, 2 + axis)
        starts = op.iota(op.vector([sizes[axis]])) * stride - first
        low, high = (-first, rows + last) if include_pad else (op.ints(0), rows)
        counts.append(
            _taps_below(op, high - starts, windows, axis)
            - _taps_below(op, low - starts, windows, axis)
        )
    return _outer_product(op, counts, like)


def _taps_below(op: Op, distance: Tensor, windows: Windows, axis: int) -> Tensor:
    """How many taps of a window lie less than a distance from its first."""
    dilation = windows.dilations[axis]
    return op.Min((op.Max(distance, 0) + (dilation - 1)) / dilation, windows.kernel[axis])


def _outer_product(op: Op, counts: list[Tensor], like: Tensor) -> Tensor:
    """The counts of each axis multiplied, in another tensor's dtype."""
    known = [count.constant for count in counts if count.constant is not None]
    if len(known) == len(counts):
        outer: np.ndarray[Any, Any] = functools.reduce(np.multiply.outer, known)
        return op.constant(np.asarray(outer, like.dtype.numpy()))
    apart = [
        op.unsqueeze(op.cast_like(count, like), *range(1, len(counts) - axis))
        for axis, count in enumerate(counts)
    ]
    return functools.reduce(operator.mul, apart)


def _spread_sum(op: Op, ct: Tensor, x: Tensor, windows: Windows) -> Tensor:
    """The adjoint of summing over windows, as that of a convolution of each channel with ones."""
    batch, channels, *rows = op.dims(x)
    dtype = ct.dtype.numpy()
    if isinstance(channels, int) and 0 < channels * math.prod(windows.kernel) <= _MANY_ONES:
        ones = op.constant(np.ones((channels, 1, *windows.kernel), dtype))
        return op.spread(ct, ones, x, windows, group=channels)
    # Channels as examples take up to five times as long, but need no number of groups.
    planes = op.product(batch, channels)
    folded_ct = op.reshape(ct, [planes, 1, *op.dims(ct)[2:]])
    folded_x = op.reshape(x, [planes, 1, *rows])
    ones = op.constant(np.ones((1, 1, *windows.kernel), dtype))
    return op.reshape_like(op.spread(folded_ct, ones, folded_x, windows), x)


@vjp("LRN")
def lrn(
    op: Op, ct: Tensor, x: Tensor, *, alpha: float, beta: float, bias: float, size: int
) -> Tensor:
    # y = x s^-β with s = bias + α mean(x²), a mean over neighbouring channels whose adjoint is the
    # same with the two paddings swapped.
    before, after = (size - 1) // 2, size // 2
    scale = _channel_mean(op, x * x, size, before, after) * alpha + bias
    damped = ct * scale**-beta
    spread = _channel_mean(op, damped * x / scale, size, after, before)
    return damped - x * spread * (2.0 * alpha * beta)


def _channel_mean(op: Op, x: Tensor, size: int, before: int, after: int) -> Tensor:
    """The sum over neighbouring channels by their full number, missing ones counted as 0."""
    batch, channels, *rows = op.dims(x)
    planes = op.reshape(x, [batch, 1, channels, op.product(*rows)])
    mean = op.AveragePool(
        planes, kernel_shape=[size, 1], pads=[before, 0, after, 0], count_include_pad=1
    )
    return op.reshape_like(mean, x)
