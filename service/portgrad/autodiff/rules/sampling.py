"""Reading an image between its pixels: GridSample, and the grids of AffineGrid."""

from __future__ import annotations

import numpy as np

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.sampling import Taps
from portgrad.autodiff.vocabulary.shapes import Size


@vjp(
    "GridSample",
    since=20,
    kink="at a pixel's centre, the slope towards larger coordinates; 0 in the grid for nearest",
)
def grid_sample(
    op: Op,
    ct: Tensor,
    x: Tensor,
    grid: Tensor,
    *,
    align_corners: int,
    mode: str,
    padding_mode: str,
) -> tuple[Tensor, Tensor]:
    # Padding is chosen pixel by pixel, as the standard's text has it and onnxruntime and torch do.
    batch, channels, *sizes = op.dims(x)
    axes, count = range(len(sizes)), op.product(*op.dims(grid)[1:-1])
    points = op.reshape(op.cast_like(grid, x), [batch, count, len(sizes)])
    taps: list[Taps] = []
    for axis in axes:  # the last coordinate of a point is that of the first axis
        place = op.Gather(points, op.index(len(sizes) - 1 - axis), axis=2)
        at = _pixel(op, op.unsqueeze(place, *(2 + a for a in axes)), sizes[axis], align_corners)
        taps.append(
            op.taps(
                at,
                sizes[axis],
                axis - len(sizes),
                mode=mode,
                padding=padding_mode,
                aligned=bool(align_corners),
            )
        )
    example = op.reshape(op.iota(op.vector([batch])), [batch, 1, *(1 for _ in axes)])
    samples = op.samples(x, example, taps)
    flat = op.Transpose(op.reshape(ct, [batch, channels, count]), perm=[0, 2, 1])
    seen = op.unsqueeze(flat, *(2 + a for a in axes))
    ct_x = op.spread_samples(seen * op.unsqueeze(op.weight_of(taps), -1), samples, x)
    if mode == "nearest":
        return ct_x, op.zeros_like(grid)
    dots = op.reduce_sum(samples.values * seen, [-1], keepdims=False)
    slopes = [
        op.slope_along(dots, taps, axis, keep=2) * _half(op, sizes[axis], align_corners, ct)
        for axis in reversed(axes)
    ]
    ct_points = op.Concat(*(op.unsqueeze(slope, 2) for slope in slopes), axis=2)
    return ct_x, op.cast_like(op.reshape_like(ct_points, grid), grid)


def _pixel(op: Op, at: Tensor, size: Size, aligned: int) -> Tensor:
    """Coordinates from -1 to 1 as pixels, rounded where the operator rounds."""
    count = float(size) if isinstance(size, int) else op.cast_like(size, at)
    if aligned:
        return (at + 1.0) / 2.0 * (count - 1.0)
    return ((at + 1.0) * count - 1.0) / 2.0


def _half(op: Op, size: Size, aligned: int, like: Tensor) -> Tensor | float:
    count = float(size) if isinstance(size, int) else op.cast_like(size, like)
    return (count - float(aligned)) / 2.0


@vjp("AffineGrid")
def affine_grid(
    op: Op, ct: Tensor, theta: Tensor, size: Tensor, *, align_corners: int
) -> tuple[Tensor, None]:
    # grid = theta (base, 1) with a base that is the grid of the identity.
    length = op.known_size(size, 0)
    axes = (op.rank(ct) if length is None else length) - 2
    unit = op.constant(np.eye(axes, axes + 1, dtype=theta.dtype.numpy())[np.newaxis])
    one = op.Concat([1], op.Slice(size, [1], [axes + 2], [0]), axis=0)
    base = op.Reshape(op.AffineGrid(unit, one, align_corners=align_corners), [-1, axes])
    flat = op.Reshape(ct, op.vector([op.dims(theta)[0], -1, axes]))
    turned = op.Transpose(flat, perm=[0, 2, 1])
    shift = op.ReduceSum(turned, [2], keepdims=1)
    return op.shaped_as(op.Concat(op.MatMul(turned, base), shift, axis=2), theta), None
