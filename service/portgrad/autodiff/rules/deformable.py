"""DeformConv: a convolution whose taps are moved by offsets and weighed by a mask.

The image is read at every tap of every window (see `vocabulary.sampling`); what is read, times the
mask, is a matrix with a column for each window, and the operator its product with the weight.
Arrays of places are (N, groups of offsets, taps, windows).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.sampling import Taps
from portgrad.autodiff.vocabulary.shapes import Size

Results = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]


@dataclass(frozen=True)
class Geometry:
    """The sizes that a node's arrays are made of.

    Args:
        batch: N.
        kernel: taps along each axis.
        out: windows along each axis.
        groups: groups of offsets.
        group: groups of channels in the product with the weight.
    """

    batch: Size
    kernel: tuple[int, ...]
    out: list[Size]
    groups: int
    group: int

    @property
    def taps(self) -> int:
        """How many taps a window has."""
        return math.prod(self.kernel)


@vjp(
    "DeformConv",
    kink="at a pixel's centre, the slope towards larger coordinates",
    cost="the image at every tap of every window is held at once",
)
def deform_conv(
    op: Op,
    ct: Tensor,
    x: Tensor,
    w: Tensor,
    offset: Tensor,
    b: Tensor | None,
    mask: Tensor | None,
    *,
    dilations: Sequence[int] | None,
    group: int,
    kernel_shape: Sequence[int] | None,
    offset_group: int,
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> Results:
    kernel = op.kernel(w, kernel_shape)
    g = Geometry(op.dims(x)[0], kernel, op.dims(ct)[2:], offset_group, group)
    ones = (1,) * len(kernel)
    begin = tuple(pads or (0,) * len(kernel))[: len(kernel)]
    base = _regular_places(op, g, strides or ones, dilations or ones, begin)
    image, taps = _read_along(op, x, offset, g, base)
    axes = len(kernel)
    example = op.iota(op.size(image, 0))
    example = op.reshape(example, [g.batch, g.groups, *(1 for _ in range(2 + axes))])
    samples = op.samples(image, example, taps)
    weight = op.weight_of(taps)
    places = [g.batch, g.groups, g.taps, op.product(*g.out)]
    masked = None if mask is None else op.reshape(mask, places)

    ct_columns = _to_columns(op, ct, w, g, op.dims(image)[1])
    last = range(4, 4 + axes)
    values = op.reduce_sum(samples.values * op.unsqueeze(weight, -1), last, keepdims=False)
    ct_mask = None
    seen = ct_columns
    if mask is not None and masked is not None:
        product = op.reduce_sum(ct_columns * values, [-1], keepdims=False)
        ct_mask = op.reshape_like(product, mask)
        seen, values = (part * op.unsqueeze(masked, -1) for part in (ct_columns, values))
    spread = op.unsqueeze(seen, *last)
    ct_image = op.spread_samples(spread * op.unsqueeze(weight, -1), samples, image)
    dots = op.reduce_sum(samples.values * spread, [-1], keepdims=False)
    slopes = [op.unsqueeze(op.slope_along(dots, taps, axis, keep=4), 3) for axis in range(axes)]
    return (
        op.reshape_like(ct_image, x),
        _to_weight(op, ct, values, w, g),
        op.reshape_like(op.Concat(*slopes, axis=3), offset),
        None if b is None else op.sum_to_channels(ct, b),
        ct_mask,
    )


def _regular_places(
    op: Op, g: Geometry, strides: Sequence[int], dilations: Sequence[int], begin: Sequence[int]
) -> list[Tensor]:
    """The row that each tap of each window reads where offsets are 0, (taps, windows), by axis."""
    found: list[Tensor] = []
    count = len(g.kernel)
    for axis, size in enumerate(g.out):
        windows = op.iota(op.vector([size])) * strides[axis] - begin[axis]
        taps = np.arange(g.kernel[axis]) * dilations[axis]
        here = taps.reshape(-1, *(1,) * (2 * count - axis - 1))
        apart = op.unsqueeze(windows, *range(1, count - axis))
        shape = op.vector([*g.kernel, *g.out])
        found.append(op.reshape(op.Expand(apart + here, shape), [g.taps, op.product(*g.out)]))
    return found


def _read_along(
    op: Op, x: Tensor, offset: Tensor, g: Geometry, base: Sequence[Tensor]
) -> tuple[Tensor, list[Taps]]:
    """The image with groups of offsets as examples, and the taps along each of its axes."""
    batch, channels, *sizes = op.dims(x)
    axes = len(sizes)
    if isinstance(channels, int):
        each: Size = channels // g.groups
    else:
        each = op.Div(channels, g.groups)
    image = op.reshape(x, [op.product(batch, g.groups), each, *sizes])
    apart = op.reshape(offset, [batch, g.groups, g.taps, axes, op.product(*g.out)])
    taps: list[Taps] = []
    for axis, size in enumerate(sizes):
        at = op.Gather(apart, op.index(axis), axis=3) + op.cast_like(base[axis], x)
        at = op.unsqueeze(at, *range(4, 4 + axes))
        taps.append(op.taps(at, size, axis - axes, mode="linear", padding="zeros"))
    return image, taps


def _to_columns(op: Op, ct: Tensor, w: Tensor, g: Geometry, each: Size) -> Tensor:
    """The cotangent of what is read, (N, groups of offsets, taps, windows, channels of a group)."""
    # By Einsum, since reshaping a weight for MatMul gives the runtime a second copy of it.
    rows, inner, *kernel = op.dims(w)
    windows, taps, many = op.product(*g.out), "xyz"[: len(kernel)], "g" * (g.group > 1)
    by_group = [g.group] * (g.group > 1)
    split = [*by_group, _by_group(op, rows, g.group)]
    signal = op.reshape(ct, [g.batch, *split, windows])
    weight = op.reshape(w, [*split, inner, *kernel])
    product = op.Einsum(signal, weight, equation=f"n{many}mw,{many}mc{taps}->nw{many}c{taps}")
    apart = op.reshape(product, [g.batch, windows, g.groups, each, g.taps])
    return op.Transpose(apart, perm=[0, 2, 4, 1, 3])


def _to_weight(op: Op, ct: Tensor, values: Tensor, w: Tensor, g: Geometry) -> Tensor:
    """The product of ct with what was read, summed over the batch."""
    rows, windows = _by_group(op, op.dims(w)[0], g.group), op.product(*g.out)
    turned = op.Transpose(values, perm=[0, 3, 1, 4, 2])
    inner = op.product(*op.dims(w)[1:])
    columns = op.reshape(turned, [op.product(g.batch, windows), g.group, inner])
    by_group = op.Transpose(op.reshape(ct, [g.batch, g.group, rows, windows]), perm=[1, 2, 0, 3])
    flat = op.reshape(by_group, [g.group, rows, op.product(g.batch, windows)])
    return op.reshape_like(op.MatMul(flat, op.Transpose(columns, perm=[1, 0, 2])), w)


def _by_group(op: Op, size: Size, group: int) -> Size:
    return size // group if isinstance(size, int) else op.Div(size, group)
