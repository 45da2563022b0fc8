"""Resize: one matrix for each axis, whatever the mode.

Every mode is linear in X and separable: the output is X times one matrix along each axis. The
matrix of an axis is what the operator itself makes of an identity, so the gradient follows the
forward pass that runs, also where a runtime departs from the specification. With constant sizes
the runtime computes the matrices once, when it loads the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from portgrad.autodiff.registry import Cotangent, vjp
from portgrad.autodiff.rules.cropping import ends_by_coordinates, slopes
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported

_HALF_PIXEL = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")


@vjp(
    "Resize",
    kink="by roi: at a pixel's centre, the slope towards larger coordinates",
    cost="a matrix of output size by input size for each axis",
)
def resize(
    op: Op,
    ct: Tensor,
    x: Tensor,
    roi: Tensor | None,
    scales: Tensor | None,
    sizes: Tensor | None,
    *,
    y: Tensor,
    antialias: int,
    axes: list[int] | None,
    coordinate_transformation_mode: str,
    cubic_coeff_a: float,
    exclude_outside: int,
    keep_aspect_ratio_policy: str,
    mode: str,
    nearest_mode: str,
) -> tuple[Tensor, Cotangent, None, None]:
    attributes = {
        "antialias": antialias,
        "coordinate_transformation_mode": coordinate_transformation_mode,
        "cubic_coeff_a": cubic_coeff_a,
        "exclude_outside": exclude_outside,
        "mode": mode,
        "nearest_mode": nearest_mode,
    }
    ct, rank = op.ranked(ct, x), op.rank(x)
    which = list(range(rank)) if axes is None else [axis % rank for axis in axes]
    crops = coordinate_transformation_mode == "tf_crop_and_resize"
    if crops and roi is None:
        raise Unsupported("it crops to a region of interest, and `roi` is left out")
    call = _Resize(
        op, x, y, which, roi if crops else None, scales, sizes, keep_aspect_ratio_policy, attributes
    )
    ct_roi = call.by_roi(ct) if crops and mode != "nearest" else None
    factors = call.integer_factors()
    if factors is not None:
        return _summed_blocks(op, ct, x, factors), ct_roi, None, None
    for place, axis in enumerate(which):
        if not call.keeps(place):
            ct = times_along(op, ct, call.matrix(place), axis)
    return op.shaped_as(ct, x), ct_roi, None, None


@dataclass(frozen=True)
class _Resize:
    """One call of Resize; `place` is the place of an axis among those it may resize."""

    op: Op
    x: Tensor
    y: Tensor
    axes: list[int]
    roi: Tensor | None
    scales: Tensor | None
    sizes: Tensor | None
    policy: str
    attributes: dict[str, Any]

    def factor(self, place: int) -> float | None:
        """How much an axis grows, where that is known when compiling."""
        if self.scales is not None:
            fixed = self.op.fixed(self.scales)
            return None if fixed is None else float(fixed[place])
        if self.policy != "stretch" or self.x.shape is None or self.y.shape is None:
            return None
        old, new = self.x.shape[self.axes[place]], self.y.shape[self.axes[place]]
        if isinstance(old, int) and isinstance(new, int) and old > 0:
            return new / old
        return 1.0 if old == new and old is not None else None

    def keeps(self, place: int) -> bool:
        """Whether an axis is known to stay as it is."""
        if self.factor(place) != 1.0:
            return False
        if self.roi is None:
            return True
        fixed = self.op.fixed(self.roi)
        return fixed is not None and (fixed[place], fixed[place + len(self.axes)]) == (0.0, 1.0)

    def integer_factors(self) -> dict[int, int] | None:
        """The factor of each axis where every element is repeated in a block, else None."""
        how = self.attributes["coordinate_transformation_mode"], self.attributes["nearest_mode"]
        repeats = how == ("asymmetric", "floor") or (
            how[0] in _HALF_PIXEL and how[1] in ("round_prefer_floor", "round_prefer_ceil")
        )
        known = [self.factor(place) for place in range(len(self.axes))]
        whole = [int(f) for f in known if f is not None and f >= 1.0 and f == int(f)]
        if self.attributes["mode"] != "nearest" or not repeats or len(whole) != len(known):
            return None
        return dict(zip(self.axes, whole, strict=True))

    def matrix(self, place: int) -> Tensor:
        """What the operator makes of an identity: (old size, new size)."""
        op = self.op
        old = op.size(self.x, self.axes[place])
        counted = op.iota(old)
        unit = op.mask(op.Equal(op.Unsqueeze(counted, [1]), op.Unsqueeze(counted, [0])), self.x)
        unit = op.Unsqueeze(unit, [1, 2])  # onnxruntime interpolates at most the last axes of four
        if self.policy != "stretch" and self.sizes is not None:
            made = self._resized_beside(unit, place)
        elif self.roi is not None:
            made = self._cropped(unit, place)
        elif self.scales is not None:
            scale = op.Gather(self.scales, [place], axis=0)
            made = op.Resize(unit, None, scale, axes=[3], **self.attributes)
        else:
            size = op.Gather(self.sizes, [place], axis=0)
            made = op.Resize(unit, None, None, size, axes=[3], **self.attributes)
        return op.Squeeze(made, [1, 2])

    def copies(self) -> Tensor:
        """Whether every size stays: onnxruntime then copies X, whatever the region."""
        return self._all(self.op.Equal(self.op.shape(self.x), self.op.shape(self.y)))

    def _all(self, conditions: Tensor) -> Tensor:
        counted = self.op.Cast(conditions, to=ir.DataType.INT64)
        return self.op.Equal(self.op.ReduceMin(counted, keepdims=1), 1)

    def _region(self, place: int) -> Tensor:
        """The region along an axis, after one that is the whole of another axis."""
        assert self.roi is not None
        op = self.op
        start, end = (
            op.Gather(self.roi, [place + side * len(self.axes)], axis=0) for side in (0, 1)
        )
        return op.Concat(op.zeros_like(start), start, op.ones_like(end), end, axis=0)

    def _cropped(self, unit: Tensor, place: int) -> Tensor:
        """Beside an axis of one, which grows unless the whole is copied: else this would be."""
        op, region = self.op, self._region(place)
        beside = op.Where(self.copies(), op.ints(1), op.ints(2))
        if self.scales is not None:
            scale = op.Gather(self.scales, [place], axis=0)
            scales = op.Concat(op.cast_like(beside, scale), scale, axis=0)
            made = op.Resize(unit, region, scales, axes=[2, 3], **self.attributes)
        else:
            sizes = op.Concat(beside, op.Gather(self.sizes, [place], axis=0), axis=0)
            made = op.Resize(unit, region, None, sizes, axes=[2, 3], **self.attributes)
        return op.Slice(made, [0], [1], [2])

    def _resized_beside(self, unit: Tensor, place: int) -> Tensor:
        """Under a policy one axis sets the scale of all: the identity is resized beside it."""
        op = self.op
        assert self.sizes is not None  # a policy is for sizes alone
        old, like = op.sizes(self.x, self.axes), op.scalar(1.0, self.x)
        ratio = op.cast_like(self.sizes, like) / op.cast_like(old, like)
        choose = op.ArgMin if self.policy == "not_larger" else op.ArgMax
        leader = choose(ratio, axis=0, keepdims=1)
        beside = op.Expand(unit, op.Concat([1, 1], op.Gather(old, leader), [1], axis=0))
        sizes = op.Concat(op.Gather(self.sizes, leader), op.Gather(self.sizes, [place]), axis=0)
        made = op.Resize(
            beside,
            None if self.roi is None else self._region(place),
            None,
            sizes,
            axes=[2, 3],
            keep_aspect_ratio_policy=self.policy,
            **self.attributes,
        )
        return op.Slice(made, [0], [1], [2])  # the same on every row

    def by_roi(self, ct: Tensor) -> Cotangent:
        """The cotangent of the region of interest: starts, then ends."""
        assert self.roi is not None
        if self.attributes["antialias"]:
            return Unsupported("the derivative of Resize by its roi is not built with antialias")
        op, ends = self.op, []
        for place, axis in enumerate(self.axes):
            seen = ct
            for other, along in enumerate(self.axes):
                if other != place and not self.keeps(other):
                    seen = times_along(op, seen, self.matrix(other), along)
            read = times_along(op, self.x, self._slopes(place), axis)
            rest = [a for a in range(op.rank(ct)) if a != axis]
            ct_at = op.reduce_sum(seen * read, rest, keepdims=False)
            ends.append(ends_by_coordinates(op, ct_at, op.size(self.x, axis)))
        ct_roi = op.Concat(*(pair[side] for side in (0, 1) for pair in ends), axis=0)
        return op.cast_like(op.shaped_as(ct_roi, self.roi), self.roi)

    def _slopes(self, place: int) -> Tensor:
        op, axis = self.op, self.axes[place]
        assert self.roi is not None
        start, end = (
            op.cast_like(op.Gather(self.roi, [place + side * len(self.axes)], axis=0), self.x)
            for side in (0, 1)
        )
        old, new = op.size(self.x, axis), op.size(self.y, axis)
        found = slopes(
            op,
            (start, end),
            old,
            new,
            mode=self.attributes["mode"],
            coefficient=self.attributes["cubic_coeff_a"],
            exclude_outside=bool(self.attributes["exclude_outside"]),
        )
        return found * op.mask(op.Not(op.Or(self.copies(), self._stays(place))), found)

    def _stays(self, place: int) -> Tensor:
        """Whether a scale is 1: onnxruntime then reads pixel by pixel, whatever the region."""
        op, axis = self.op, self.axes[place]
        if self.scales is not None:
            return op.Equal(op.Gather(self.scales, [place], axis=0), op.scalar(1.0, self.scales))
        return op.Equal(op.size(self.x, axis), op.size(self.y, axis))


def times_along(op: Op, ct: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """The matrix (old, new) times the axis of ct."""
    rank = op.rank(ct)
    if axis == rank - 1:
        return op.MatMul(ct, op.Transpose(matrix, perm=[1, 0]))
    if axis == rank - 2:
        return op.MatMul(matrix, ct)
    middle = op.Concat(op.count(ct, 0, axis), op.size(ct, axis), op.count(ct, axis + 1), axis=0)
    product = op.MatMul(matrix, op.Reshape(ct, middle, allowzero=1))
    before, after = op.sizes(ct, range(axis)), op.sizes(ct, range(axis + 1, rank))
    shape = op.Concat(before, op.size(matrix, 0), after, axis=0)
    return op.Reshape(product, shape, allowzero=1)


def _summed_blocks(op: Op, ct: Tensor, x: Tensor, factors: dict[int, int]) -> Tensor:
    """The sums of blocks: a sixth of the time of the products for a doubled image."""
    parts: list[Tensor] = []
    blocks: list[int] = []
    for axis in range(op.rank(x)):
        parts.append(op.size(x, axis))
        if factors.get(axis, 1) != 1:
            blocks.append(len(parts))
            parts.append(op.ints(factors[axis]))
    if not blocks:
        return ct
    apart = op.Reshape(ct, op.Concat(*parts, axis=0), allowzero=1)
    return op.shaped_as(op.reduce_sum(apart, blocks, keepdims=False), x)
