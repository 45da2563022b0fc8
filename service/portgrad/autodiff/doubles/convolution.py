"""Convolutions, as matrix products over the taps of the kernel.

One product for each tap, or one for all taps, which takes the room of all taps at once but has
fewer and larger products: see `vocabulary.convolutions`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from portgrad.autodiff.doubles.windows import laid
from portgrad.autodiff.registry import double_body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.convolutions import MANY_CHANNELS
from portgrad.autodiff.vocabulary.shapes import Size
from portgrad.autodiff.vocabulary.windows import Windows


@double_body("Conv")
def conv(
    op: Op,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    *,
    group: int,
    kernel_shape: Sequence[int] | None,
    **geometry: Any,
) -> Tensor:
    kernel = op.kernel(w, kernel_shape)
    windows, counts = laid(op, x, kernel, **geometry)
    views = op.counted_views(x, counts, windows)
    batch, outer = op.dims(x)[0], op.dims(w)[0]
    y = _products(op, views, w, group, op.product(*counts))
    return _biased(op, op.reshape(y, [batch, outer, *counts]), b)


def _products(op: Op, views: list[Tensor], w: Tensor, group: int, spots: Size) -> Tensor:
    """(N, group, M / group, spots) from what each tap meets, (N, C, windows…)."""
    batch = op.dims(views[0])[0]
    outer, inner, *_ = op.dims(w)
    mine = op.quotient(outer, group)
    seen = [op.reshape(view, [batch, group, inner, spots]) for view in views]
    taps = len(views)
    weight = op.reshape(w, [group, mine, inner, taps])
    if not isinstance(inner, int) or MANY_CHANNELS > inner > 1 or taps == 1:
        stacked = op.Concat(*(op.unsqueeze(view, 3) for view in seen), axis=3)
        stacked = op.reshape(stacked, [batch, group, op.product(inner, taps), spots])
        return op.MatMul(op.reshape(weight, [group, mine, op.product(inner, taps)]), stacked)
    each = [op.Gather(weight, op.index(tap), axis=3) for tap in range(taps)]
    product = op.Mul if inner == 1 else op.MatMul  # with one channel both broadcast alike
    return functools.reduce(operator.add, map(product, each, seen))


def _biased(op: Op, y: Tensor, b: Tensor | None) -> Tensor:
    return y if b is None else y + op.along_channels(b, y)


@double_body("ConvTranspose")
def conv_transpose(
    op: Op,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    *,
    auto_pad: str,
    dilations: Sequence[int] | None,
    group: int,
    kernel_shape: Sequence[int] | None,
    output_padding: Sequence[int] | None,
    output_shape: Sequence[int] | None,
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> Tensor:
    kernel = op.kernel(w, kernel_shape)
    rank, ones = len(kernel), (1,) * len(kernel)
    fixed = tuple(pads or ()) if auto_pad == "NOTSET" else ()
    windows = Windows(
        kernel,
        tuple(strides or ones),
        tuple(dilations or ones),
        fixed[:rank] or (0,) * rank,
        fixed[rank:] or (0,) * rank,
    )
    extra = tuple(output_padding or windows.nowhere)
    begin, end = op.ints(*windows.begin), op.ints(*windows.end)
    if output_shape or auto_pad.startswith("SAME"):
        total = _total(op, x, windows, extra, output_shape)
        shared = op.Max(total, op.index(0))
        begin = op.Div(shared if auto_pad == "SAME_UPPER" else shared + 1, 2)
        end = total - begin  # rows of zeros where the padding is negative
    y = _spread(op, _by_tap(op, x, w, group), windows, begin, end - op.ints(*extra))
    return _biased(op, y, b)


def _total(
    op: Op, x: Tensor, windows: Windows, extra: Sequence[int], output_shape: Sequence[int] | None
) -> Tensor:
    """The padding of each axis: what the output has beyond the rows that are wanted of it.

    With SAME_UPPER or SAME_LOWER that are as many as x has times the stride, or fewer.
    """
    geometry = zip(windows.reach, extra, windows.strides, strict=True)
    over = op.ints(*(reach + add - stride for reach, add, stride in geometry))
    if not output_shape:
        return op.Max(over, op.index(0))
    counts, wanted = op.sizes(x, range(2, op.rank(x))), list(output_shape)[-len(extra) :]
    return op.Add(counts * op.ints(*windows.strides), over) - op.ints(*wanted)


def _by_tap(op: Op, x: Tensor, w: Tensor, group: int) -> list[Tensor]:
    """What x is times each tap of the kernel: (N, M, windows…)."""
    batch, channels, *counts = op.dims(x)
    _, inner, *kernel = op.dims(w)
    taps, spots, mine = op.product(*kernel), op.product(*counts), op.quotient(channels, group)
    split = op.reshape(w, [group, mine, op.product(inner, taps)])
    seen = op.reshape(x, [batch, group, mine, spots])
    product = op.MatMul(op.swap_last_two(split), seen)
    apart = op.reshape(product, [batch, op.product(inner, group), taps, *counts])
    assert isinstance(taps, int)
    return [op.Gather(apart, op.index(tap), axis=2) for tap in range(taps)]


def _spread(op: Op, parts: list[Tensor], windows: Windows, begin: Tensor, end: Tensor) -> Tensor:
    """The parts of all taps added up, each where its tap lies, without the padding."""
    found: list[Tensor] = []
    for tap, part in zip(np.ndindex(windows.kernel), parts, strict=True):
        for axis, stride in enumerate(windows.strides):
            part = part if stride == 1 else op.dilate(part, 2 + axis, stride)  # noqa: PLW2901
        geometry = list(zip(tap, windows.kernel, windows.dilations, windows.strides, strict=True))
        before = op.ints(*(t * gap for t, _, gap, _ in geometry))
        # Dilation leaves stride - 1 zeros behind the last window.
        after = op.ints(*((k - 1 - t) * gap + 1 - step for t, k, gap, step in geometry))
        pads = op.Concat(before - begin, after - end, axis=0)
        found.append(op.Pad(part, pads, None, windows.axes))
    return functools.reduce(operator.add, found)
