"""Words about reading images between their pixels: interpolation at coordinates, and its adjoints.

Along one axis, interpolation reads a few pixels (taps) around a coordinate, each with a weight that
is a polynomial in the coordinate's fraction; over several axes weights are multiplied. Arrays here
have axes for the points that are read, then *tap axes*, of size 1 where a spatial axis does not
vary, so that the taps of all spatial axes broadcast to one another. Images are read as rows of
pixels with channels last, which one Gather takes and one sum by index puts back.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.indexing import IndexingWords
from portgrad.autodiff.vocabulary.reductions import ReductionWords
from portgrad.autodiff.vocabulary.shapes import Size

Array: TypeAlias = np.ndarray[Any, Any]


def polynomials(mode: str, a: float) -> list[list[float]]:
    """The weight of each tap as a polynomial in the fraction: a row for each, lowest power first.

    Cubic is Keys' kernel (IEEE ASSP 29, 1981) with the slope `a` at distance 1.
    """
    if mode == "nearest":
        return [[1.0]]
    if mode == "linear":
        return [[1.0, -1.0], [0.0, 1.0]]
    return [
        [0.0, a, -2.0 * a, a],
        [1.0, 0.0, -(a + 3.0), a + 2.0],
        [0.0, -a, 2.0 * a + 3.0, -(a + 2.0)],
        [0.0, 0.0, a, -a],
    ]


_FIRST_TAP = {"nearest": 0, "linear": 0, "cubic": -1}


@dataclass(frozen=True)
class Taps:
    """What is read along one spatial axis.

    Args:
        index: pixels along the axis (int64), all within the image.
        weight: of the same shape.
        slope: the weight's derivative by the coordinate.
    """

    index: Tensor
    weight: Tensor
    slope: Tensor

    def where(self, condition: Tensor) -> Taps:
        """The same taps with weight 0 where a condition does not hold."""
        nothing = self.weight.op.scalar(0.0, self.weight)
        weight, slope = (condition.op.Where(condition, x, nothing) for x in self._floats)
        return Taps(self.index, weight, slope)

    @property
    def _floats(self) -> tuple[Tensor, Tensor]:
        return self.weight, self.slope


@dataclass(frozen=True)
class Samples:
    """Pixels that were read: an image as rows of pixels, which rows, and what is there.

    Args:
        pixels: (pixels, C).
        rows: (points…, tap axes…).
        values: (points…, tap axes…, C).
    """

    pixels: Tensor
    rows: Tensor
    values: Tensor


class SamplingWords(IndexingWords, ReductionWords):
    """Words about reading images between their pixels."""

    def taps(
        self,
        at: Tensor,
        size: Size,
        place: int,
        *,
        mode: str,
        padding: str,
        aligned: bool = False,
        coefficient: float = -0.75,
    ) -> Taps:
        """The taps along one axis.

        Args:
            at: coordinates in pixels, with tap axes of size 1.
            size: how many pixels the axis has.
            place: which of the tap axes becomes that of these taps, counted from the end.
            mode: nearest, linear or cubic.
            padding: zeros, border or reflection.
            aligned: whether reflection is about the centres of the outermost pixels.
            coefficient: of the cubic.
        """
        table = np.asarray(polynomials(mode, coefficient), at.dtype.numpy())
        count, powers = table.shape
        along = (count, *(1,) * (-1 - place))
        low = self.Round(at) if mode == "nearest" else self.Floor(at)
        pixel = self.Cast(low, to=ir.DataType.INT64)
        index = pixel + (np.arange(count) + _FIRST_TAP[mode]).reshape(along)
        steeper = table[:, 1:] * np.arange(1, powers, dtype=table.dtype)
        weight, slope = (
            self._polynomial(at - low, [column.reshape(along) for column in columns.T], index)
            for columns in (table, steeper)
        )
        found = Taps(self._within(index, size, padding, aligned), weight, slope)
        if padding != "zeros":
            return found
        return found.where(self.And(index >= 0, self.Less(index, _size(self, size))))

    def samples(self, image: Tensor, batch: Tensor, taps: Sequence[Taps]) -> Samples:
        """Read an image (N, C, rows…), each point on the example that `batch` names."""
        _, channels, *sizes = self.dims(image)
        rows = batch
        for size, axis in zip(sizes, taps, strict=True):
            rows = rows * _size(self, size) + axis.index
        last = self.Transpose(image, perm=[0, *range(2, self.rank(image)), 1])
        pixels = self.reshape(last, [self.product(*self.dims(last)[:-1]), channels])
        return Samples(pixels, rows, self.Gather(pixels, rows))

    def spread_samples(self, ct: Tensor, samples: Samples, image: Tensor) -> Tensor:
        """The adjoint of reading: what each value's cotangent is, added up in an image.

        Args:
            ct: broadcasts to the samples' values.
            samples: what was read.
            image: the shape of the result.
        """
        batch, channels, *sizes = self.dims(image)
        whole = self.expand_like(ct, samples.values)
        pixels = self.add_taken(samples.pixels, samples.rows, whole, 0)
        apart = self.reshape(pixels, [batch, *sizes, channels])
        rank = self.rank(image)
        return self.shaped_as(self.Transpose(apart, perm=[0, rank - 1, *range(1, rank - 1)]), image)

    def weight_of(self, taps: Sequence[Taps]) -> Tensor:
        """The product of the weights along each axis."""
        return functools.reduce(operator.mul, [axis.weight for axis in taps])

    def slope_along(self, ct: Tensor, taps: Sequence[Taps], axis: int, keep: int) -> Tensor:
        """The cotangent of the coordinates along one axis.

        Args:
            ct: the cotangent of the product of weights (points…, tap axes…).
            taps: along each axis.
            axis: the axis of the coordinates.
            keep: how many axes the points have.
        """
        others = [t.weight for place, t in enumerate(taps) if place != axis]
        total = functools.reduce(operator.mul, [ct * taps[axis].slope, *others])
        return self.reduce_sum(total, range(keep, self.rank(total)), keepdims=False)

    def _polynomial(self, x: Tensor, columns: Sequence[Array], like: Tensor) -> Tensor:
        """A polynomial for each tap, its coefficients lowest power first, by Horner's scheme."""
        if not columns:
            return self.zeros_like(self.cast_like(like, x))
        total = self.expand_like(self.constant(columns[-1]), like)
        for column in columns[-2::-1]:
            total = total * x + column
        return total

    def _within(self, index: Tensor, size: Size, padding: str, aligned: bool) -> Tensor:
        """Pixels outside of an axis brought into it."""
        count = _size(self, size)
        if padding != "reflection":
            return self.Max(self.Min(index, count - 1), 0)
        if aligned:  # -1 lies on 1: the pattern repeats after twice the distance of the ends
            period = self.Max((count - 1) * 2, 1)
            phase = self.Mod(index, period)
            return self.Min(phase, period - phase)
        phase = self.Mod(index, count * 2)  # -1 lies on 0
        return self.Min(phase, count * 2 - 1 - phase)


def _size(op: IndexingWords, size: Size) -> Tensor:
    return op.ints(size) if isinstance(size, int) else size
