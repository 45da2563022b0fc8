"""MaxRoiPool: the largest pixel of each bin of a region, whose edges are whole pixels.

As many pixels as the largest bin has are listed for every bin; a condition leaves the rest out.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.sampling import Samples, Taps
from portgrad.autodiff.vocabulary.shapes import Size


@vjp("MaxRoiPool", kink="first among ties; 0 in the regions, whose edges are rounded")
def max_roi_pool(
    op: Op,
    ct: Tensor,
    x: Tensor,
    rois: Tensor,
    *,
    y: Tensor,
    pooled_shape: Sequence[int],
    spatial_scale: float,
) -> tuple[Tensor, Tensor]:
    example = op.Cast(op.Gather(rois, op.index(0), axis=1), to=ir.DataType.INT64)
    pixels = [
        bins(op, rois, op.dims(x)[2 + place], pooled_shape[place], place, spatial_scale)
        for place in (0, 1)
    ]
    taps = [Taps(index, index, index) for index, _ in pixels]
    samples = op.samples(x, op.unsqueeze(example, 1, 2, 3, 4), taps)
    active = functools.reduce(op.And, [there for _, there in pixels])
    return _to_first(op, ct, x, y, samples, active), op.zeros_like(rois)


def bins(
    op: Op, rois: Tensor, size: Size, count: int, place: int, scale: float
) -> tuple[Tensor, Tensor]:
    """Pixels of each bin along an axis (regions, rows, columns, 2 tap axes), and if it has them."""
    edges = op.Gather(rois, [2 - place, 4 - place], axis=1) * scale
    away = op.Sign(edges) * op.Floor(op.Abs(edges) + 0.5)  # half away from zero
    start, end = (op.Gather(away, [k], axis=1) for k in (0, 1))
    width = op.Max(end - start + 1.0, 1.0) / float(count)
    numbers = np.arange(op.few(count) + 1, dtype=rois.dtype.numpy())
    last = op.cast_like(op.vector([size]), rois)
    low, high = (
        op.as_int64(op.Min(op.Max(edge + start, 0.0), last))
        for edge in (op.Floor(width * numbers[:-1]), op.Ceil(width * numbers[1:]))
    )
    everywhere = op.Concat(op.Reshape(high - low, [-1]), [1], axis=0)
    most = op.ReduceMax(everywhere, [0], keepdims=1)
    other = 2 - place  # the axis of the points along which bins do not change
    low, high = (op.unsqueeze(edge, other, 3, 4) for edge in (low, high))
    index = low + op.unsqueeze(op.iota(most), *range(1, 2 - place))
    within = op.Max(op.Min(index, op.vector([size]) - 1), 0)
    return within, op.Less(index, high)


def _to_first(op: Op, ct: Tensor, x: Tensor, y: Tensor, samples: Samples, active: Tensor) -> Tensor:
    """ct added where the first pixel of a bin that equals y is; nowhere if there is none.

    (onnxruntime starts from the smallest positive number, so a bin of negative pixels is constant.)
    """
    batch, channels, *sizes = op.dims(x)
    last = [op.Transpose(part, perm=[0, 2, 3, 1]) for part in (ct, y)]
    points = op.product(*op.dims(last[0])[:-1])
    taps = op.product(*op.dims(samples.rows)[3:])
    flat_ct, flat_y = (op.reshape(part, [points, channels]) for part in last)
    rows = op.reshape(samples.rows, [points, taps])
    values = op.reshape(samples.values, [points, taps, channels])
    there = op.reshape(op.Expand(active, op.Shape(samples.rows)), [points, taps, 1])
    found = op.And(op.Equal(values, op.unsqueeze(flat_y, 1)), there)
    equal = op.Cast(found, to=ir.DataType.INT32)
    first = op.ArgMax(equal, axis=1, keepdims=0)
    picked = op.GatherElements(rows, first, axis=1) * op.vector([channels])
    positions = picked + op.iota(op.vector([channels]))
    any_found = op.cast_like(op.ReduceMax(equal, [1], keepdims=0), ct)
    pixels = op.add_back(samples.pixels, positions, flat_ct * any_found)
    apart = op.reshape(pixels, [batch, *sizes, channels])
    return op.shaped_as(op.Transpose(apart, perm=[0, 3, 1, 2]), x)
