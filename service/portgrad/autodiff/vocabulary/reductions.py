"""Words about sums: over axes, and back to the shape of an operand that was broadcast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portgrad.autodiff.tensor import Dim, Tensor
from portgrad.autodiff.vocabulary.shapes import ShapeWords

_ONE = np.ones(1, np.int64)


class ReductionWords(ShapeWords):
    """Words about sums."""

    def reduce_sum(self, x: Tensor, axes: Sequence[int], *, keepdims: bool = True) -> Tensor:
        """The sum over the named axes; over none, x itself."""
        if not axes:
            return x
        return self.ReduceSum(x, list(axes), keepdims=int(keepdims))

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
            return self._unbroadcast_at_run_time(ct, like)
        narrowed = [
            lead + axis for axis, (wide, narrow) in enumerate(pairs) if narrow == 1 and wide != 1
        ]
        if not narrowed:
            return self.reduce_sum(ct, range(lead), keepdims=False)
        summed = self.reduce_sum(ct, [*range(lead), *narrowed])
        return self.squeeze(summed, *range(lead))

    def _unbroadcast_at_run_time(self, ct: Tensor, like: Tensor) -> Tensor:
        """The axes to sum are those where the operand's size, padded with ones, differs."""
        target, whole = self.Shape(like), self.Shape(ct)
        missing = self.Sub(self.Shape(whole), self.Shape(target))
        padded = self.Concat(self.ConstantOfShape(missing, value=_ONE), target, axis=0)
        different = self.Not(self.Equal(padded, whole))
        axes = self.Reshape(self.NonZero(different), [-1])
        summed = self.ReduceSum(ct, axes, noop_with_empty_axes=1)
        return self.shaped_as(self.Reshape(summed, target, allowzero=1), like)


def _may_differ(wide: Dim, narrow: Dim) -> bool:
    """Whether only the run can tell if an axis was broadcast."""
    if narrow == wide and narrow is not None:
        return False
    return not isinstance(narrow, int)
