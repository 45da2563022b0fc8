"""Arithmetic on operands that broadcast against each other: results are summed back to them."""

from __future__ import annotations

from portgrad.autodiff.registry import broadcasting, vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

Pair = tuple[Tensor, Tensor]


@broadcasting("Add")
def add(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> Pair:
    return ct, ct


@broadcasting("Sub")
def sub(op: Op, ct: Tensor, a: Tensor, b: Tensor) -> Pair:
    return ct, -ct


@broadcasting("Mul")
def mul(op: Op, ct: Tensor, a: Tensor, b: Tensor, *, chosen: bool) -> Pair:
    # x log x at 0, which a Where leaves out of an entropy, has an infinite factor.
    ct_a, ct_b = (
        op.times_slope(ct, factor) if chosen and op.fixed(factor) is None else ct * factor
        for factor in (b, a)
    )
    slope = op.slope_of(a, b) if op.places else None  # it was looked at with no number
    return ct_a if slope is None else op.times_slope(ct, slope), ct_b


@broadcasting("Div", kink="infinite where the divisor is 0; NaN by a divisor of 0 under 0")
def div(op: Op, ct: Tensor, a: Tensor, b: Tensor, *, y: Tensor, chosen: bool) -> Pair:
    ct_a = op.times_slope(ct, op.Reciprocal(b)) if chosen and _may_be_zero(op, b) else ct / b
    return ct_a, -(op.times_slope(ct_a, y) if chosen else ct_a * y)


def _may_be_zero(op: Op, b: Tensor) -> bool:
    """Not the depth that the scores of attention are divided by before a mask chooses from them."""
    known = op.fixed(b)
    return known is None or not known.all()


@broadcasting("Mod", kink="as between the jumps")
def modulo(op: Op, ct: Tensor, a: Tensor, b: Tensor, *, c: Tensor) -> Pair:
    # c = a - q b with a constant whole q, whichever way the quotient was rounded. Where a is
    # infinite, q is no number: it must not reach a b that is shared, if nothing depends on c there.
    return ct, op.times_slope(ct, (c - a) / b)


@broadcasting("Sum")
def sum_of(op: Op, ct: Tensor, operands: list[Tensor]) -> tuple[list[Tensor]]:
    return ([ct] * len(operands),)


@broadcasting("Mean")
def mean_of(op: Op, ct: Tensor, operands: list[Tensor]) -> tuple[list[Tensor]]:
    return ([ct / len(operands)] * len(operands),)


@vjp("Identity")
def identity(op: Op, ct: Tensor, input: Tensor) -> Tensor:
    return ct


@broadcasting("Max", kink="even among ties")
def maximum(op: Op, ct: Tensor, operands: list[Tensor], *, y: Tensor) -> tuple[list[Tensor]]:
    return (_shared_by_ties(op, ct, operands, y),)


@broadcasting("Min", kink="even among ties")
def minimum(op: Op, ct: Tensor, operands: list[Tensor], *, y: Tensor) -> tuple[list[Tensor]]:
    return (_shared_by_ties(op, ct, operands, y),)


def _shared_by_ties(op: Op, ct: Tensor, operands: list[Tensor], y: Tensor) -> list[Tensor]:
    if len(operands) == 1:
        return [ct]
    chosen = [op.mask(op.Equal(x, y), ct) for x in operands]
    share = ct / op.Sum(*chosen)
    return [share * mask for mask in chosen]
