"""Reductions over axes, which may be given, absent or known only when the net runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@dataclass(frozen=True)
class Reduction:
    """One call of a reduction, `ct` and `y` with the reduced axes kept as axes of size 1."""

    op: Op
    ct: Tensor
    data: Tensor
    y: Tensor
    axes: Tensor | None
    noop: int

    def total(self, x: Tensor) -> Tensor:
        """The sum of a tensor of data's shape over the same axes, which it keeps."""
        return self.op.ReduceSum(x, self.axes, keepdims=1, noop_with_empty_axes=self.noop)

    def share(self) -> Tensor:
        """One over the number of elements that became one."""
        axes = self.op.reduced_axes(self.data, self.axes, self.noop)
        return self.op.share(self.data, self.y, axes)


Slope = Callable[[Op, Reduction], Tensor]


def reduction(op_type: str, **options: Any) -> Callable[[Slope], Slope]:
    """Register a rule that gives data's cotangent, or what broadcasts to it."""

    def register(function: Slope) -> Slope:
        @vjp(op_type, **options)
        def rule(
            op: Op,
            ct: Tensor,
            data: Tensor,
            axes: Tensor | None,
            *,
            reduced: Tensor,
            keepdims: int,
            noop_with_empty_axes: int,
        ) -> tuple[Tensor, None]:
            kept, y = (
                op.keep_reduced(x, data, axes, keepdims, noop_with_empty_axes)
                for x in (ct, reduced)
            )
            call = Reduction(op, kept, data, y, axes, noop_with_empty_axes)
            return op.shaped_as(function(op, call), data), None

        return function

    return register


@reduction("ReduceSum")
def reduce_sum(op: Op, call: Reduction) -> Tensor:
    return op.expand_like(call.ct, call.data)


@reduction("ReduceMean")
def reduce_mean(op: Op, call: Reduction) -> Tensor:
    return op.expand_like(call.ct * call.share(), call.data)


@reduction("ReduceMax", kink="even among ties")
def reduce_max(op: Op, call: Reduction) -> Tensor:
    return _to_extremes(op, call)


@reduction("ReduceMin", kink="even among ties")
def reduce_min(op: Op, call: Reduction) -> Tensor:
    return _to_extremes(op, call)


def _to_extremes(op: Op, call: Reduction) -> Tensor:
    chosen = op.mask(op.Equal(call.data, call.y), call.ct)
    return chosen * (call.ct / call.total(chosen))


@reduction("ReduceL1", kink="0 at 0")
def reduce_l1(op: Op, call: Reduction) -> Tensor:
    return op.Sign(call.data) * call.ct


@reduction("ReduceL2", kink="0 at 0")
def reduce_l2(op: Op, call: Reduction) -> Tensor:
    norm = op.Where(op.Equal(call.y, 0.0), 1.0, call.y)
    return call.data * (call.ct / norm)


@reduction("ReduceSumSquare")
def reduce_sum_square(op: Op, call: Reduction) -> Tensor:
    return call.data * (call.ct * 2.0)


@reduction("ReduceLogSum", kink="infinite where the sum is 0")
def reduce_log_sum(op: Op, call: Reduction) -> Tensor:
    return op.expand_like(call.ct * op.Exp(-call.y), call.data)


@reduction("ReduceLogSumExp", kink="0 where every element is minus infinity")
def reduce_log_sum_exp(op: Op, call: Reduction) -> Tensor:
    # Minus infinity less itself would be NaN.
    top = op.Where(op.Equal(call.y, -math.inf), 0.0, call.y)
    return op.Exp(call.data - top) * call.ct
