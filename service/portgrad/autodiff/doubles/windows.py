"""How many windows a convolution or a pool has along each axis, and where they lie, from its
attributes and the image alone: there is no signal yet that would tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.shapes import Size
from portgrad.autodiff.vocabulary.windows import Windows


def laid(
    op: Op,
    image: Tensor,
    kernel: Sequence[int],
    *,
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    ceil_mode: int = 0,
    centred: bool = False,
) -> tuple[Windows, list[Size]]:
    """The windows, with all of their padding known or told at run time, and their numbers.

    Arguments as those of `Vocabulary.windows`.
    """
    ones = (1,) * len(kernel)
    op.few(*kernel)
    fixed = tuple(pads or ()) if auto_pad == "NOTSET" else ()
    begin, end = (fixed[k : k + len(kernel)] or (0,) * len(kernel) for k in (0, len(kernel)))
    windows = Windows(
        tuple(kernel), tuple(strides or ones), tuple(dilations or ones), begin, end, bool(ceil_mode)
    )
    rows = op.dims(image)[2:]
    if auto_pad.startswith("SAME"):
        return _same(op, windows, rows, upper=auto_pad == "SAME_UPPER", centred=centred)
    counts = [_count(op, size, windows, axis) for axis, size in enumerate(rows)]
    return windows, counts


def _count(op: Op, rows: Size, windows: Windows, axis: int) -> Size:
    stride, begin = windows.strides[axis], windows.begin[axis]
    room = _plus(rows, begin + windows.end[axis] - windows.reach[axis])
    if not windows.ragged:
        return _plus(_over(room, stride), 1)
    # None of the windows that round up begins beyond the image and its first padding.
    most, inside = _plus(_over(_plus(room, stride - 1), stride), 1), _plus(rows, begin + stride - 1)
    inside = _over(inside, stride)
    if isinstance(most, int) and isinstance(inside, int):
        return min(most, inside)
    return op.Min(op.vector([most]), op.vector([inside]))


def _same(
    op: Op, windows: Windows, rows: list[Size], *, upper: bool, centred: bool
) -> tuple[Windows, list[Size]]:
    """As many windows as strides begin in the image, and the padding that they need, shared."""
    geometry = list(zip(rows, windows.strides, windows.reach, strict=True))
    counts = [_over(_plus(size, stride - 1), stride) for size, stride, _ in geometry]
    needed = [
        # With stride 1 there are as many windows as rows.
        reach - 1 if stride == 1 else _plus(_difference(count, stride, size), reach - stride)
        for count, (size, stride, reach) in zip(counts, geometry, strict=True)
    ]
    known = [total if centred else max(total, 0) for total in needed if isinstance(total, int)]
    if len(known) == len(needed):
        begin = tuple(int((total if upper else total + 1) / 2) for total in known)  # towards 0
        end = tuple(total - before for total, before in zip(known, begin, strict=True))
        return replace(windows, begin=begin, end=end), counts
    whole = op.vector(needed)
    whole = whole if centred else op.Max(whole, op.index(0))
    first = op.Div(whole if upper else whole + 1, 2)
    return replace(windows, shift=(first, whole - first)), counts


def _plus(size: Size, more: int) -> Size:
    return size if more == 0 else size + more


def _over(size: Size, stride: int) -> Size:
    return size // stride if isinstance(size, int) else size if stride == 1 else size / stride


def _difference(count: Size, stride: int, rows: Size) -> Size:
    return count * stride - rows


def window_sums(op: Op, image: Tensor, counts: list[Size], windows: Windows) -> Tensor:
    """The sum over each window: along one axis after the other, which has fewer taps."""
    framed, windows = op.frame(image, windows)
    axes = range(len(windows.kernel))
    if windows.ragged:
        framed = _longer(op, framed, counts, windows)
    for axis in axes:
        along = replace(
            windows,
            kernel=_only(windows.kernel, axis),
            strides=_only(windows.strides, axis),
            dilations=_only(windows.dilations, axis),
        )
        seen: list[Size] = [*op.dims(framed)[2:]]
        seen[axis] = counts[axis]
        first, *others = op.counted_views(framed, seen, along)
        framed = first
        for other in others:
            framed = framed + other
    return framed


def _only(numbers: Sequence[int], axis: int) -> tuple[int, ...]:
    return tuple(number if place == axis else 1 for place, number in enumerate(numbers))


def _longer(op: Op, framed: Tensor, counts: list[Size], windows: Windows) -> Tensor:
    """Rows of zeros for the last windows, which may reach beyond the padding.

    They begin inside, so windows of one tap have none: where each row has one, none is cut off.
    """
    rank, beyond = len(counts), [reach - 1 for reach in windows.reach]
    more = op.Pad(framed, op.ints(*[0] * rank, *beyond), None, windows.axes)
    batch, channels, *rows = framed.shape or [None] * (rank + 2)
    grown = [
        row + added if isinstance(row, int) else None
        for row, added in zip(rows, beyond, strict=True)
    ]
    more.value.shape = ir.Shape([batch, channels, *grown])
    return more
