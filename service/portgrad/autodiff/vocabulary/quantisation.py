"""Words about quantised numbers: scales that are shared by a tensor, an axis or a block of it.

Sums run in float32, whatever dtype the scales have: the codes of 16 bits do not fit into float16.
"""

from __future__ import annotations

import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.reductions import ReductionWords


class QuantisationWords(ReductionWords):
    """Words about quantised numbers."""

    def single(self, x: Tensor) -> Tensor:
        """X in float32."""
        return x if x.dtype == ir.DataType.FLOAT else self.Cast(x, to=ir.DataType.FLOAT)

    def spread_scale(self, scale: Tensor, x: Tensor, axis: int, block_size: int) -> Tensor:
        """Scales, or zero points, in a shape that broadcasts to x's.

        Args:
            scale: one number, one for each position on an axis, or one for each block on it.
            x: what is quantised.
            axis: the axis.
            block_size: how many positions on the axis share a scale; 0 where it has no blocks.
        """
        if block_size:
            return self._spread_blocks(scale, x, axis % self.rank(x), block_size)
        if self._one_for_all(scale):
            return self.Reshape(scale, self.ints())
        rank = self.rank(x)
        return self.unsqueeze(scale, *range(1, rank - axis % rank))

    def sum_to_scale(
        self, ct: Tensor, scale: Tensor, x: Tensor, axis: int, block_size: int
    ) -> Tensor:
        """The adjoint of `spread_scale`: sums of a cotangent of x's shape over what shares."""
        if block_size:
            return self._sum_blocks(ct, scale, axis % self.rank(x), block_size)
        if self._one_for_all(scale):
            return self.reshape_like(self.ReduceSum(ct, keepdims=0), scale)
        spread = self.spread_scale(scale, x, axis, 0)
        return self.reshape_like(self.unbroadcast(self.shaped_as(ct, x), spread), scale)

    def _one_for_all(self, scale: Tensor) -> bool:
        return self.rank(scale) == 0 or scale.static_shape == (1,)

    def _spread_blocks(self, scale: Tensor, x: Tensor, axis: int, block_size: int) -> Tensor:
        """Each scale over its block; the last block may be cut short."""
        sizes = self.dims(scale)
        times = [1] * (len(sizes) + 1)
        times[axis + 1] = block_size
        repeated = self.Expand(self.unsqueeze(scale, axis + 1), self.ints(*times))
        sizes[axis] = self.product(sizes[axis], block_size)
        whole = self.reshape(repeated, sizes)
        cut = self.Slice(whole, self.ints(0), self.size(x, axis), self.ints(axis))
        return self.shaped_as(cut, x)

    def _sum_blocks(self, ct: Tensor, scale: Tensor, axis: int, block_size: int) -> Tensor:
        sizes = self.dims(scale)
        missing = self.Sub(self.size(scale, axis) * block_size, self.size(ct, axis))
        pads = self.Concat(self.ints(0), missing, axis=0)
        whole = self.Pad(ct, pads, None, self.ints(axis))
        blocks = self.reshape(whole, [*sizes[: axis + 1], block_size, *sizes[axis + 1 :]])
        return self.shaped_as(self.reduce_sum(blocks, [axis + 1], keepdims=False), scale)
