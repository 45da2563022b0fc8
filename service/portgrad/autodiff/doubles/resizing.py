"""Resize: which pixels are read by the runtime's integer kernel, how they are weighed in float64.

Nearest moves pixels, so it moves their positions. The other modes are one matrix along each axis,
of the weights that the standard gives, with the runtime's departures: an axis whose scale is 1 is
read pixel by pixel whatever the region, and where no size changes X is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.rules.resizing import times_along
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported


@double_body("Resize")
def resize(
    op: Op,
    x: Tensor,
    roi: Tensor | None,
    scales: Tensor | None,
    sizes: Tensor | None,
    *,
    axes: list[int] | None,
    extrapolation_value: float,
    mode: str,
    **rest: Any,
) -> Tensor:
    if rest["coordinate_transformation_mode"] == "tf_crop_and_resize" and roi is None:
        raise Unsupported("it crops to a region of interest, and `roi` is left out")
    # The runtime's own kernels, of integers, take the region in float32.
    region = None if roi is None else op.Cast(roi, to=ir.DataType.FLOAT)
    given, how = (region, scales, sizes), {**rest, "axes": axes, "mode": "nearest"}
    outside: Tensor | None
    if mode == "nearest":
        y, outside = _moved(op, x, given, how)
    else:
        pixels = op.Cast(op.zeros_like(x), to=ir.DataType.UINT8)
        plain = {**how, "antialias": 0, "exclude_outside": 0}
        new = op.Shape(op.Resize(pixels, *given, **plain))
        every = range(op.rank(x)) if axes is None else axes
        which = [axis % op.rank(x) for axis in every]
        y, outside = _weighed(Resizing(op, x, new, which, roi, scales, sizes, mode, rest))
    if outside is None:
        return op.ranked(y, x)
    return op.ranked(op.Where(outside, op.scalar(extrapolation_value, x), y), x)


def _moved(
    op: Op, x: Tensor, given: Sequence[Tensor | None], how: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """The pixels that nearest reads, and whether it reads outside of X."""
    positions = op.Cast(op.positions(x), to=ir.DataType.INT32)
    moved = op.Resize(positions, *given, **how, extrapolation_value=-1.0)
    nothing = np.asarray(0, np.int32)
    y = op.Gather(op.Reshape(x, [-1]), op.Max(moved, nothing), axis=0)
    return y, op.Less(moved, nothing)


def _weighed(call: Resizing) -> tuple[Tensor, Tensor | None]:
    """X times the matrix of each axis, and whether coordinates lie outside of X."""
    op, y, outside = call.op, call.x, None
    rank = op.rank(y)
    for place, axis in enumerate(call.axes):
        if call.keeps(place):
            continue
        at = call.coordinates(place)
        y = times_along(op, y, call.matrix(place, at), axis)
        if call.crops:
            last = op.cast_like(op.size(call.x, axis), at) - 1.0
            beyond = op.unsqueeze(op.Or(op.Less(at, 0.0), at > last), *range(1, rank - axis))
            outside = beyond if outside is None else op.Or(outside, beyond)
    return y, outside


@dataclass(frozen=True)
class Resizing:
    """One call of Resize; `place` is the place of an axis among those it may resize."""

    op: Op
    x: Tensor
    new: Tensor
    axes: list[int]
    roi: Tensor | None
    scales: Tensor | None
    sizes: Tensor | None
    mode: str
    rest: dict[str, Any]

    @property
    def crops(self) -> bool:
        """Whether coordinates are those of a region."""
        return bool(self.rest["coordinate_transformation_mode"] == "tf_crop_and_resize")

    def keeps(self, place: int) -> bool:
        """Whether an axis is known to stay as it is."""
        fixed = None if self.scales is None else self.op.fixed(self.scales)
        return fixed is not None and float(fixed[place]) == 1.0

    def scale(self, place: int) -> Tensor:
        """How much an axis grows, a vector of one number."""
        op = self.op
        if self.scales is not None:
            return op.cast_like(op.Gather(self.scales, [place], axis=0), self.x)
        assert self.sizes is not None, "Resize has either"
        old = op.sizes(self.x, self.axes)
        ratios = op.cast_like(self.sizes, self.x) / op.cast_like(old, self.x)
        policy = self.rest["keep_aspect_ratio_policy"]
        if policy == "stretch":
            return op.Gather(ratios, [place], axis=0)
        return (op.ReduceMin if policy == "not_larger" else op.ReduceMax)(ratios, [0], keepdims=1)

    def coordinates(self, place: int) -> Tensor:
        """Where X is read along an axis, in its pixels: a vector of the new size."""
        op, axis, scale = self.op, self.axes[place], self.scale(place)
        size = op.Gather(self.new, [axis], axis=0)
        old, new = (op.cast_like(n, self.x) for n in (op.size(self.x, axis), size))
        step = op.cast_like(op.iota(size), self.x)
        found = self._formula(place, step, old, new, scale)
        same = op.Cast(op.Equal(self.new, op.shape(self.x)), to=ir.DataType.INT64)
        copied = op.Equal(op.ReduceMin(same, keepdims=1), 1)
        stays = op.Or(op.Equal(scale, 1.0), copied)
        return op.Where(stays, step, found)

    def _formula(self, place: int, step: Tensor, old: Tensor, new: Tensor, scale: Tensor) -> Tensor:
        op = self.op
        half = (step + 0.5) / scale - 0.5
        match self.rest["coordinate_transformation_mode"]:
            case "half_pixel":
                return half
            case "asymmetric":
                return step / scale
            case "pytorch_half_pixel":
                return op.Where(new > 1.0, half, 0.0)
            case "align_corners":
                return step * (old - 1.0) / op.Max(new - 1.0, 1.0)
            case "half_pixel_symmetric":
                return half + old * 0.5 * (1.0 - new / (scale * old))
            case "tf_crop_and_resize":
                assert self.roi is not None, "checked by the caller"
                start, end = (
                    op.cast_like(op.Gather(self.roi, [place + side * len(self.axes)]), step)
                    for side in (0, 1)
                )
                last = old - 1.0
                inside = start * last + step * (end - start) * last / op.Max(new - 1.0, 1.0)
                return op.Where(new > 1.0, inside, (start + end) * 0.5 * last)
            case other:
                raise Unsupported(f"its coordinates {other!r} are not known")

    def matrix(self, place: int, at: Tensor) -> Tensor:
        """What each pixel of an axis counts for: (new size, old size)."""
        op, old = self.op, self.op.size(self.x, self.axes[place])
        excluded = bool(self.rest["exclude_outside"])
        if self.rest["antialias"]:
            return self._smooth(at, old, self.scale(place), excluded=excluded)
        if self.mode == "linear":
            last = op.cast_like(old, at) - 1.0
            at = op.Max(op.Min(at, last), 0.0)
        padding = "zeros" if excluded and self.mode == "cubic" else "border"
        taps = op.taps(
            op.Unsqueeze(at, [1]), old, -1, mode=self.mode, padding=padding,
            coefficient=self.rest["cubic_coeff_a"],
        )  # fmt: skip
        weight = taps.weight
        if padding == "zeros":
            weight = weight / op.reduce_sum(weight, [1])
        places = op.Equal(op.Unsqueeze(taps.index, [2]), op.iota(old))
        return op.reduce_sum(op.mask(places, at) * op.Unsqueeze(weight, [2]), [1], keepdims=False)

    def _smooth(self, at: Tensor, old: Tensor, scale: Tensor, *, excluded: bool) -> Tensor:
        """Weights of a kernel that is as wide as the new pixels are, where these are larger.

        What it reads outside of the image counts for the outermost pixel, or for nothing.
        """
        op, shrink = self.op, self.op.Min(scale, 1.0)
        reach = 1.0 if self.mode == "linear" else 2.0
        beyond = op.Add(op.as_int64(op.Ceil(reach / shrink)), 1)
        # A coordinate may lie outside by itself, but never further than the kernel reaches.
        pixels = op.iota(old + beyond * 2) - beyond
        away = (op.cast_like(pixels, at) - op.Unsqueeze(at, [1])) * shrink
        weight = self._kernel(op.Abs(away))
        if excluded:
            inside = op.And(op.GreaterOrEqual(pixels, 0), op.Less(pixels, old))
            weight = weight * op.mask(inside, at)
        weight = weight / op.reduce_sum(weight, [1])
        nearest = op.Max(op.Min(pixels, old - 1), 0)
        places = op.Equal(op.Unsqueeze(nearest, [1]), op.Unsqueeze(op.iota(old), [0]))
        return op.MatMul(weight, op.mask(places, at))

    def _kernel(self, away: Tensor) -> Tensor:
        op = self.op
        if self.mode == "linear":
            return op.Max(1.0 - away, 0.0)
        a = self.rest["cubic_coeff_a"]
        near = (away * (a + 2.0) - (a + 3.0)) * away * away + 1.0
        far = (((away - 5.0) * away + 8.0) * away - 4.0) * a
        beyond = op.Where(op.Less(away, 2.0), far, 0.0)
        return op.Where(op.Less(away, 1.0), near, beyond)
