"""Resize: one matrix for each axis, whatever the mode.

Every mode is linear in X and separable: the output is X times one matrix along each axis. The
matrix of an axis is what the operator itself makes of an identity, so the gradient follows the
forward pass that runs, also where a runtime departs from the specification. With constant sizes
the runtime computes the matrices once, when it loads the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported

_HALF_PIXEL = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")


@vjp("Resize")
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
) -> tuple[Tensor, Unsupported | None, None, None]:
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
    call = _Resize(
        op, x, y, which, roi if crops else None, scales, sizes, keep_aspect_ratio_policy, attributes
    )
    moves = crops and mode != "nearest"
    no_roi = Unsupported("the derivative of Resize by its roi is not built") if moves else None
    factors = call.integer_factors()
    if factors is not None:
        return _summed_blocks(op, ct, x, factors), no_roi, None, None
    for place, axis in enumerate(which):
        if not call.keeps(place):
            ct = _along(op, ct, call.matrix(place), axis)
    return op.shaped_as(ct, x), no_roi, None, None


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
        roi = None
        if self.roi is not None:
            roi = op.Gather(self.roi, [place, place + len(self.axes)], axis=0)
        if self.scales is not None:
            scale = op.Gather(self.scales, [place], axis=0)
            made = op.Resize(unit, roi, scale, axes=[3], **self.attributes)
        elif self.policy == "stretch":
            size = op.Gather(self.sizes, [place], axis=0)
            made = op.Resize(unit, roi, None, size, axes=[3], **self.attributes)
        else:
            made = self._resized_beside(unit, roi, place)
        return op.Squeeze(made, [1, 2])

    def _resized_beside(self, unit: Tensor, roi: Tensor | None, place: int) -> Tensor:
        """Under a policy one axis sets the scale of all: the identity is resized beside it."""
        op = self.op
        assert self.sizes is not None  # a policy is for sizes alone
        old, like = op.sizes(self.x, self.axes), op.scalar(1.0, self.x)
        ratio = op.cast_like(self.sizes, like) / op.cast_like(old, like)
        choose = op.ArgMin if self.policy == "not_larger" else op.ArgMax
        leader = choose(ratio, axis=0, keepdims=1)
        beside = op.Expand(unit, op.Concat([1, 1], op.Gather(old, leader), [1], axis=0))
        sizes = op.Concat(op.Gather(self.sizes, leader), op.Gather(self.sizes, [place]), axis=0)
        if roi is not None:
            start, end = op.split(roi, op.ints(1, 1), 0, 2)
            roi = op.Concat(op.zeros_like(start), start, op.ones_like(end), end, axis=0)
        made = op.Resize(
            beside,
            roi,
            None,
            sizes,
            axes=[2, 3],
            keep_aspect_ratio_policy=self.policy,
            **self.attributes,
        )
        return op.Slice(made, [0], [1], [2])  # the same on every row


def _along(op: Op, ct: Tensor, matrix: Tensor, axis: int) -> Tensor:
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
