"""Words about normalisation: working precision, parameters that belong to a channel."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary.reductions import ReductionWords


class StatisticsWords(ReductionWords):
    """Words about normalisation."""

    def widen(self, *tensors: Tensor) -> list[Tensor]:
        """Tensors in one dtype: float64 if any is, else float32, which sums of halves need."""
        double = any(x.dtype == ir.DataType.DOUBLE for x in tensors)
        dtype = ir.DataType.DOUBLE if double else ir.DataType.FLOAT
        return [x if x.dtype == dtype else self.Cast(x, to=dtype) for x in tensors]

    def inverse_rms(self, x: Tensor, axes: Sequence[int], epsilon: float) -> Tensor:
        """One over the root of the mean square over some axes, which stay as axes of size 1."""
        return self.Reciprocal(self.Sqrt(self.reduce_mean(x * x, axes) + epsilon))

    def along_channels(self, parameter: Tensor, x: Tensor) -> Tensor:
        """A vector with an element for each channel, made to broadcast along axis 1 of x."""
        return self.unsqueeze(parameter, *range(1, self.rank(x) - 1))

    def times_channels(self, x: Tensor, factor: Tensor) -> Tensor:
        """X times a vector with an element for each channel.

        A convolution that this is the cotangent of takes the factor into its kernel: `unscaled`.
        """
        product = x * self.along_channels(factor, x)
        self.scaled[product.value] = x, factor
        return product

    def unscaled(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """X without a factor for each channel, and the factor; None where none is known."""
        return self.scaled.get(x.value, (x, None))

    def sum_to_channels(self, x: Tensor, parameter: Tensor) -> Tensor:
        """The sum over every axis but axis 1, in the shape of a vector of channels.

        For each example, (N, channels), where examples are to stay apart.
        """
        if self.apart:
            return self.reduce_sum(x, range(2, self.rank(x)), keepdims=False)
        axes = [axis for axis in range(self.rank(x)) if axis != 1]
        return self.reshape_like(self.reduce_sum(x, axes, keepdims=False), parameter)
