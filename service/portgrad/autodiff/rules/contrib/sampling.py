"""com.microsoft: sampling of images, and transposed convolution with pads known when it runs."""

from __future__ import annotations

from typing import Any

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

_SLOPE = "at a pixel's centre, the slope towards larger coordinates; 0 in the {} for nearest"
_MODES = {"bilinear": "linear", "bicubic": "cubic"}


@body("GridSample", domain=DOMAIN, kink=_SLOPE.format("grid"))
def grid_sample(
    op: Op, x: Tensor, grid: Tensor, *, align_corners: int, mode: str, padding_mode: str
) -> Tensor:
    return op.GridSample(
        x,
        grid,
        align_corners=align_corners,
        mode=_MODES.get(mode, mode),
        padding_mode=padding_mode,
    )


@body(
    "CropAndResize",
    domain=DOMAIN,
    kink=_SLOPE.format("regions"),
    cost="the image of each region is copied",
)
def crop_and_resize(
    op: Op,
    x: Tensor,
    rois: Tensor,
    batch_indices: Tensor,
    crop_size: Tensor,
    *,
    extrapolation_value: float,
    mode: str,
) -> Tensor:
    # In float32, since halves of places name other pixels.
    near, (image, regions) = mode == "nearest", op.widen(x, rois)
    (rows, above), (columns, left) = (
        _places(op, image, regions, crop_size, axis, near=near) for axis in (0, 1)
    )
    rows, above = (op.unsqueeze(t, 2) for t in (rows, above))
    columns, left = (op.unsqueeze(t, 1) for t in (columns, left))
    both = (columns + rows * 0.0, rows + columns * 0.0)
    grid = op.Concat(*(op.unsqueeze(t, 3) for t in both), axis=3)
    sampled = op.GridSample(
        op.Gather(image, batch_indices),
        grid,
        align_corners=1,
        mode="nearest" if near else "linear",
        padding_mode="border",
    )
    inside = op.unsqueeze(op.And(above, left), 1)
    return op.cast_like(op.Where(inside, sampled, op.scalar(extrapolation_value, image)), x)


def _places(
    op: Op, x: Tensor, rois: Tensor, crop_size: Tensor, axis: int, *, near: bool
) -> tuple[Tensor, Tensor]:
    """Where each region samples an axis, in the coordinates of a grid; and whether that is inside.

    Both are (regions, samples). The first and the last sample lie on the edges of a region, a
    single one in its middle.
    """
    start, end = (op.unsqueeze(op.Gather(rois, op.index(k), axis=1), 1) for k in (axis, axis + 2))
    count = op.Reshape(op.as_int64(op.Gather(crop_size, op.ints(axis))), [1])
    steps = op.cast_like(op.Max(count - 1, 1), rois)
    middle = op.cast_like(op.mask(op.Equal(count, 1), rois), rois) * 0.5
    t = op.cast_like(op.iota(count), rois) / steps + middle
    last = op.cast_like(op.size(x, axis + 2) - 1, rois)
    pixel = (start * (1.0 - t) + end * t) * last
    inside = op.And(pixel >= 0.0, pixel <= last)
    place = op.Floor(pixel + 0.5) if near else pixel
    return place * 2.0 / op.Max(last, op.scalar(1.0, rois)) - 1.0, inside


@body("ConvTransposeWithDynamicPads", domain=DOMAIN)
def conv_transpose_with_dynamic_pads(
    op: Op,
    x: Tensor,
    w: Tensor,
    pads: Tensor | None,
    b: Tensor | None,
    *,
    auto_pad: str,
    **geometry: Any,
) -> Tensor:
    if auto_pad != "NOTSET" or pads is None:
        raise Unsupported("its pads must be an operand", remedy="Write a ConvTranspose instead.")
    whole = op.ranked(op.ConvTranspose(x, w, b, **geometry), x)
    axes = list(range(2, op.rank(x)))
    before, after = op.split(pads, op.ints(len(axes), len(axes)), 0, 2)
    return op.Slice(whole, before, op.sizes(whole, axes) - after, axes)


@body("WordConvEmbedding", domain=DOMAIN, kink="even among ties")
def word_conv_embedding(op: Op, sequence: Tensor, w: Tensor, b: Tensor, c: Tensor) -> Tensor:
    # A convolution over the characters of each word, of which the largest tanh is taken. A word
    # ends with its characters above 0, but is at least as long as the window.
    letters = op.unsqueeze(op.Gather(c, sequence), 1)
    scores = op.squeeze(op.Tanh(op.Conv(letters, w, b)), 3)
    length = op.reduce_sum(op.as_int64(op.mask(sequence > 0, sequence)), [1])
    window = op.size(w, 2)
    windows = op.Max(length, window) - window
    within = op.iota(op.size(sequence, 1) - window + 1) <= windows
    least = op.scalar(-2.0, scores)  # below any tanh
    return op.ReduceMax(op.Where(op.unsqueeze(within, 1), scores, least), [2], keepdims=0)
