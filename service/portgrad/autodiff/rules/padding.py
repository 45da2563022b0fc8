"""Operators that cut windows out of a tensor, or add a margin around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

# -- Slice ---------------------------------------------------------------------------------------


@vjp("Slice")
def slice_(
    op: Op,
    ct: Tensor,
    data: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Tensor | None,
    steps: Tensor | None,
) -> tuple[Tensor, None, None, None, None]:
    ct = op.ranked(ct, data)
    count = op.known_size(starts, 0)
    which, stride = _known_axes(op, data, axes, count), _known_steps(steps, count)
    if which is None or stride is None:
        moved = op.Slice(op.positions(data), starts, ends, axes, steps)
        ct_data = op.add_back(data, moved, ct)
    else:
        ct_data = _window_back(op, ct, data, op.as_int64(starts), which, stride)
    return ct_data, None, None, None, None


def _window_back(
    op: Op, ct: Tensor, data: Tensor, starts: Tensor, axes: list[int], steps: list[int]
) -> Tensor:
    # An element k of the window lies at first + k * step. Turned round where the step is negative
    # it lies at low + k * |step|: zeros go between the elements, then before low and up to the end.
    sizes, taken = op.sizes(data, axes), op.sizes(ct, axes)
    highest = sizes - np.asarray([int(step < 0) for step in steps])
    first = op.Max(op.Min(op.positive(starts, sizes), highest), 0)
    last = first + (taken - 1) * np.asarray(steps)
    backwards = [step < 0 for step in steps]
    # An empty window would put its last element before its first.
    low = op.Min(op.Where(np.asarray(backwards), last, first), sizes) if any(backwards) else first
    ct = op.reverse(ct, [axis for axis, turned in zip(axes, backwards, strict=True) if turned])
    for axis, step in zip(axes, steps, strict=True):
        if abs(step) != 1:
            ct = op.dilate(ct, axis, abs(step))
    return op.pad_to(ct, data, axes, low)


def _known_axes(op: Op, data: Tensor, axes: Tensor | None, count: int | None) -> list[int] | None:
    """Axes counted from the front; without an operand the first `count`; None where unknown."""
    if axes is None:
        return None if count is None else list(range(count))
    return None if axes.constant is None else [int(axis) % op.rank(data) for axis in axes.constant]


def _known_steps(steps: Tensor | None, count: int | None) -> list[int] | None:
    if steps is None:
        return None if count is None else [1] * count
    return None if steps.constant is None else [int(step) for step in steps.constant]


# -- Pad -----------------------------------------------------------------------------------------


@vjp("Pad")
def pad(
    op: Op,
    ct: Tensor,
    data: Tensor,
    pads: Tensor,
    constant_value: Tensor | None,
    axes: Tensor | None,
    *,
    mode: str,
) -> tuple[Tensor, None, Tensor | None, None]:
    if mode != "constant":
        return _margins_back(op, ct, data, pads, axes, mode), None, None, None
    ct_data = op.shaped_as(op.Pad(ct, op.Neg(pads), None, axes), data)
    if constant_value is None:
        return ct_data, None, None, None
    margin = op.Pad(op.zeros_like(data), pads, op.scalar(1.0, data), axes) > 0.5
    total = op.ReduceSum(op.Where(margin, ct, op.scalar(0.0, ct)), keepdims=0)
    return ct_data, None, op.reshape_like(total, constant_value), None


def _margins_back(
    op: Op, ct: Tensor, data: Tensor, pads: Tensor, axes: Tensor | None, mode: str
) -> Tensor:
    widths = pads.constant
    ct, which = op.ranked(ct, data), _known_axes(op, data, axes, op.rank(data))
    if widths is None or which is None or bool((widths < 0).any()):
        return op.add_back(data, op.Pad(op.positions(data), pads, None, axes, mode=mode), ct)
    for axis, before, after in zip(which, *np.split(widths, 2), strict=True):
        if before or after:
            ct = _margin_back(op, ct, op.size(data, axis), axis, [int(before), int(after)], mode)
    return op.shaped_as(ct, data)


def _margin_back(
    op: Op, ct: Tensor, size: Tensor, axis: int, widths: Sequence[int], mode: str
) -> Tensor:
    """The inner part of ct, with what lies in the margins of one axis added to its sources."""
    sources = op.Pad(op.iota(size), list(widths), mode=mode)
    parts = op.Concat(op.ints(widths[0]), size, op.ints(widths[1]), axis=0)
    before, inner, after = op.split(ct, parts, axis, 3)
    first, _, last = op.split(sources, parts, 0, 3)
    margin = op.Concat(before, after, axis=axis)
    return op.add_at(inner, op.Concat(first, last, axis=0), margin, axis)


@vjp("CenterCropPad")
def center_crop_pad(
    op: Op, ct: Tensor, input_data: Tensor, shape: Tensor, *, axes: list[int] | None
) -> tuple[Tensor, None]:
    ct, rank = op.ranked(ct, input_data), op.rank(input_data)
    which = list(range(rank)) if axes is None else [axis % rank for axis in axes]
    # Div rounds towards zero, as the operator does whether elements are cut off or added.
    cut = op.sizes(input_data, which) - op.sizes(ct, which)
    return op.pad_to(ct, input_data, which, op.Div(cut, 2)), None
