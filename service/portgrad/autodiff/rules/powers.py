"""Pow, whose exponent may have a dtype of its own and whose base may be zero or negative."""

from __future__ import annotations

from portgrad.autodiff.registry import broadcasting
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@broadcasting("Pow", kink="by the base: 0 at 0⁰; by the exponent: NaN for a base below 0")
def power(
    op: Op, ct: Tensor, x: Tensor, y: Tensor, *, z: Tensor, chosen: bool
) -> tuple[Tensor, Tensor | None]:
    times = op.times_slope if chosen else op.Mul
    number = _one_number(y)
    ct_x = times(ct, _slope(op, x, y, z) if number is None else _slope_at(op, x, z, number))
    if not y.floating:
        return ct_x, None
    return ct_x, op.cast_like(times(ct, _slope_by_exponent(op, x, y, z)), y)


def _one_number(y: Tensor) -> float | None:
    known = y.constant
    return float(known.reshape(())) if known is not None and known.size == 1 else None


def _slope_at(op: Op, x: Tensor, z: Tensor, exponent: float) -> Tensor:
    """n xⁿ⁻¹ for a fixed n, without Pow for the exponents that nets are full of."""
    if exponent == 0.0:
        return op.zeros_like(x)
    if exponent == 0.5:
        return 0.5 / z
    return _power(op, x, exponent - 1.0) * exponent


def _power(op: Op, x: Tensor, exponent: float) -> Tensor:
    if exponent == 0.0:
        return op.ones_like(x)
    if exponent in (1.0, 2.0):
        return x if exponent == 1.0 else x * x
    return op.Pow(x, op.scalar(exponent, x))


def _slope(op: Op, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Y xʸ⁻¹, where 0 times infinity would be NaN at x = y = 0."""
    factor = op.cast_like(y, x)
    corner = op.And(op.Equal(x, 0), op.Equal(factor, 0))
    less = y - 1 if y.floating else factor - 1  # an unsigned 0 has no predecessor
    return factor * op.Pow(op.Where(corner, 1, x), less)


def _slope_by_exponent(op: Op, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """xʸ log x, which is 0 at x = 0 for y > 0, and by torch's convention at y = 0."""
    flat = op.And(op.Equal(x, 0), op.GreaterOrEqual(op.cast_like(y, x), 0))
    return z * op.Log(op.Where(flat, 1, x))
