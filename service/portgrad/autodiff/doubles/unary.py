"""Functions of one number: Erf and Gelu, hyperbolic functions, Tan."""

from __future__ import annotations

import math

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

# W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23 (1969):
# erf(x) = x p(x²) / q(x²) below 0.46875, and erfc(x) = exp(-x²) p(x) / q(x) up to 4. Of erfc, erf
# needs so few digits beyond that this serves to 6, where erfc is 2e-17. Highest power first.
_SWITCH = 0.46875
_INNER = (
    [1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3],
    [1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
     2.84423683343917062e3],
)  # fmt: skip
_OUTER = (
    [2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3],
    [1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
     1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3,
     1.23033935480374942e3],
)  # fmt: skip


def _ratio(x: Tensor, ratio: tuple[list[float], list[float]]) -> Tensor:
    """One polynomial over another, by Horner's scheme."""
    above, below = (_polynomial(x, coefficients) for coefficients in ratio)
    return above / below


def _polynomial(x: Tensor, coefficients: list[float]) -> Tensor:
    first, second, *others = coefficients
    total = x * first + second
    for coefficient in others:
        total = total * x + coefficient
    return total


@double_body("Erf")
def erf(op: Op, input: Tensor) -> Tensor:
    x = input
    size = op.Abs(x)
    inner = x * _ratio(x * x, _INNER)
    # Beyond 6 erf is 1 in float64.
    far = op.Where(size > 6.0, op.scalar(6.0, x), size)
    outer = op.Sign(x) * (1.0 - op.Exp(-(far * far)) * _ratio(far, _OUTER))
    return op.Where(size <= _SWITCH, inner, outer)


@double_body("Gelu")
def gelu(op: Op, x: Tensor, *, approximate: str) -> Tensor:
    if approximate == "tanh":
        scale = math.sqrt(2.0 / math.pi)
        return x * (op.Tanh(x * (x * x * 0.044715 + 1.0) * scale) + 1.0) * 0.5
    return x * (op.Erf(x * math.sqrt(0.5)) + 1.0) * 0.5


@double_body("Tan")
def tan(op: Op, input: Tensor) -> Tensor:
    return op.Sin(input) / op.Cos(input)


@double_body("Sinh")
def sinh(op: Op, input: Tensor) -> Tensor:
    # With t = tanh(x/2), sinh x = 2t / (1 - t²); beyond 1 by exponentials, halved to go as far as
    # sinh does.
    t, half = op.Tanh(input * 0.5), op.Exp(op.Abs(input) * 0.5)
    far = op.Sign(input) * (half * 0.5 * half - 0.5 / half / half)
    return op.Where(op.Abs(input) < 1.0, t * 2.0 / ((1.0 - t) * (t + 1.0)), far)


@double_body("Cosh")
def cosh(op: Op, input: Tensor) -> Tensor:
    half = op.Exp(op.Abs(input) * 0.5)
    return half * 0.5 * half + 0.5 / half / half
