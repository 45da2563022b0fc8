"""Words about sums: over axes, and back to the shape of an operand that was broadcast."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.tensor import Dim, Tensor
from portgrad.autodiff.vocabulary.shapes import ShapeWords

_ONE = np.ones(1, np.int64)


class ReductionWords(ShapeWords):
    """Words about sums.

    Attributes:
        apart: whether the words for cotangents of what the examples of a batch share, which sum
            over the batch, leave the examples apart on axis 0 of what they give.
    """

    apart = False

    @contextlib.contextmanager
    def examples_apart(self) -> Iterator[None]:
        """While examples stay apart."""
        self.apart = True
        try:
            yield
        finally:
            self.apart = False

    def reduce_sum(self, x: Tensor, axes: Sequence[int], *, keepdims: bool = True) -> Tensor:
        """The sum over the named axes; over none, and over axes of size 1, x's own elements."""
        if not axes or (keepdims and self._ones(x, axes)):
            return x
        if self._ones(x, axes):
            return self.squeeze(x, *axes)
        return self.ReduceSum(x, list(axes), keepdims=int(keepdims))

    def _ones(self, x: Tensor, axes: Sequence[int]) -> bool:
        return x.shape is not None and all(x.shape[axis] == 1 for axis in axes)

    def reduce_mean(self, x: Tensor, axes: Sequence[int], *, keepdims: bool = True) -> Tensor:
        """The mean over the named axes; over none, x itself."""
        if not axes:
            return x
        return self.ReduceMean(x, list(axes), keepdims=int(keepdims))

    def unbroadcast(self, ct: Tensor, like: Tensor) -> Tensor:
        """Sum a cotangent back to the shape of an operand that was broadcast to it."""
        if ct.shape is None or like.shape is None:
            return self._unbroadcast_at_run_time(ct, like)
        lead = len(ct.shape) - len(like.shape)
        pairs = list(zip(ct.shape[lead:], like.shape, strict=True))
        if any(_may_differ(wide, narrow) for wide, narrow in pairs):
            ct, target = self.reduce_sum(ct, range(lead), keepdims=False), self.Shape(like)
            summed = self.shaped_as(self._summed_to(ct, target, self.Shape(ct)), like)
            # It has that shape, but onnx's inference would not know its rank.
            return self.shaped_as(self.Reshape(summed, target, allowzero=1), like)
        narrowed = [
            lead + axis for axis, (wide, narrow) in enumerate(pairs) if narrow == 1 and wide != 1
        ]
        if not narrowed:
            return self.reduce_sum(ct, range(lead), keepdims=False)
        summed = self.reduce_sum(ct, [*range(lead), *narrowed])
        return self.squeeze(summed, *range(lead))

    def keep_reduced(
        self, reduced: Tensor, data: Tensor, axes: Tensor | None, keepdims: int, noop: int
    ) -> Tensor:
        """The result of a reduction of data with its reduced axes kept as axes of size 1.

        Args:
            reduced: a value of the reduction's output shape.
            data: the operand that was reduced.
            axes: the reduction's axes operand.
            keepdims: the reduction's attribute.
            noop: its attribute `noop_with_empty_axes`.
        """
        known = axes.constant if axes is not None else np.zeros(0, np.int64)
        if keepdims or (known is not None and known.size == 0 and noop):
            return reduced
        if known is not None and data.rank is not None:
            return self.unsqueeze(reduced, *(known.tolist() or range(data.rank)))
        if axes is None:  # every axis of a tensor of unknown rank: a scalar broadcasts as it is
            return reduced
        return self._unsqueeze_at_run_time(reduced, data, axes, noop)

    def reduced_axes(self, data: Tensor, axes: Tensor | None, noop: int) -> list[int] | None:
        """The axes that a reduction goes over; None where only the run can tell."""
        known = axes.constant if axes is not None else np.zeros(0, np.int64)
        if known is None or data.rank is None:
            return None
        if known.size == 0:
            return [] if noop else list(range(data.rank))
        return sorted({int(axis) % data.rank for axis in known})

    def share(self, data: Tensor, reduced: Tensor, axes: Sequence[int] | None) -> Tensor:
        """One over the number of elements that became one in a reduction, in data's dtype.

        Args:
            data: the operand that was reduced.
            reduced: the result.
            axes: the axes that were reduced, None where they are not known.
        """
        sizes = [None] if axes is None or data.shape is None else [data.shape[a] for a in axes]
        known = [size for size in sizes if isinstance(size, int)]
        if len(known) == len(sizes):
            return self.scalar(1.0 / max(math.prod(known), 1), data)
        # In double: float16 ends at 65504, and float32 counts no further than 2**24.
        few, many = (self.Cast(self.Size(x), to=ir.DataType.DOUBLE) for x in (reduced, data))
        return self.cast_like(few / many, data)

    def _unsqueeze_at_run_time(
        self, reduced: Tensor, data: Tensor, axes: Tensor, noop: int
    ) -> Tensor:
        """The shape with ones is that of a sum of data which keeps its axes."""
        kept = self.ReduceSum(data, axes, keepdims=1, noop_with_empty_axes=noop)
        return self.Reshape(reduced, self.Shape(kept), allowzero=1)

    def _unbroadcast_at_run_time(self, ct: Tensor, like: Tensor) -> Tensor:
        """The axes to sum are those where the operand's size, padded with ones, differs."""
        target, whole = self.Shape(like), self.Shape(ct)
        missing = self.Sub(self.Shape(whole), self.Shape(target))
        padded = self.Concat(self.ConstantOfShape(missing, value=_ONE), target, axis=0)
        summed = self._summed_to(ct, padded, whole)
        return self.shaped_as(self.Reshape(summed, target, allowzero=1), like)

    def _summed_to(self, ct: Tensor, target: Tensor, whole: Tensor) -> Tensor:
        """A cotangent, whose shape is the second vector, summed to that of the first."""
        axes = self.Reshape(self.NonZero(self.Not(self.Equal(target, whole))), [-1])
        return self.ReduceSum(ct, axes, noop_with_empty_axes=1)


def _may_differ(wide: Dim, narrow: Dim) -> bool:
    """Whether only the run can tell if an axis was broadcast."""
    if narrow == wide and narrow is not None:
        return False
    return not isinstance(narrow, int)
