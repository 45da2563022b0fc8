"""Operators that pass some elements on and hold or scale the others: Clip and PRelu."""

from __future__ import annotations

from portgrad.autodiff.registry import broadcasting
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@broadcasting("Clip", kink="0 at a bound, which has the gradient; max wins where they cross")
def clip(
    op: Op,
    ct: Tensor,
    input: Tensor,
    min: Tensor | None,
    max: Tensor | None,
    *,
    output: Tensor,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    # The output tells, so that a Clip after a convolution can still be fused into it.
    above = None if min is None else output > min
    below = None if max is None else output < max
    if above is None or below is None:
        inside = below if above is None else above
        ct_min = None if above is None else op.Where(above, 0.0, ct)
    else:
        inside = op.And(above, below)
        ct_min = op.Where(op.Or(above, op.Not(below)), 0.0, ct)
    ct_max = None if below is None else op.Where(below, 0.0, ct)
    return ct if inside is None else op.Where(inside, ct, 0.0), ct_min, ct_max


@broadcasting("PRelu", kink="slope at 0")
def prelu(op: Op, ct: Tensor, x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    positive = x > 0.0
    return op.Where(positive, ct, ct * slope), op.Where(positive, 0.0, ct * x)
