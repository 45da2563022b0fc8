"""What differences along a line tell: the slope at its middle, a kink, a jump, or nothing.

The line is φ(t) = Σ w f(x + t v), with w what is imposed at the outputs. Of a central difference
at step h, truncation is off by h²φ'''/6 and rounding by ε|φ|/h, so that the best step is near
ε^(1/3) (Numerical Recipes, third edition, 5.7; Nocedal and Wright, Numerical Optimization, second
edition, 8.1). φ''' and the rounding inside a net are not known, and with many corners nearby (a
large net of Relu) the error is of order h. So the differences are taken at steps of a geometric
ladder from 1/4 down to √ε, and the step is chosen whose difference is nearest to those of its two
neighbours: the larger one bounds its truncation from above, the smaller one its rounding.

Right and left differences are compared element by element of the outputs, since what one side
loses at one element the other may gain at another. At a smooth point they approach each other with
h, so that they still move more than they are apart; at a kink they settle apart; at a jump the way
between them does not shrink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from portgrad.engine.arrays import Array

Verdict = Literal["ok", "kink", "jump", "non_finite", "unclear", "disagrees"]
FIRST_STEP, STEPS = 0.25, 8
MIDDLE = slice(3, 6)  # where a smooth point of a net of ordinary scale shows itself


def ladder(eps: float) -> list[float]:
    """The steps, from the largest."""
    return [float(step) for step in np.geomspace(FIRST_STEP, math.sqrt(eps), STEPS)]


def tolerance_for(eps: float) -> float:
    """How far, of the scale of what is compared, a gradient may be off: 1e-6 in double."""
    return float(max(1e-6, 3 * math.sqrt(eps)))


@dataclass(frozen=True)
class Sides:
    """Both differences at one step.

    Attributes:
        step: h.
        right, left: (φ(h) - φ(0)) / h and (φ(0) - φ(-h)) / h.
        low, high: the same with the smaller, or larger, of both at each element of the outputs.
        travel: Σ|w|(|f(h) - f(0)| + |f(0) - f(-h)|).
        size: Σ|w f|, the largest of the three.
    """

    step: float
    right: float
    left: float
    low: float
    high: float
    travel: float
    size: float

    @property
    def central(self) -> float:
        """The central difference."""
        return (self.right + self.left) / 2

    @property
    def activity(self) -> float:
        """The mean slope of the elements, without sign."""
        return self.travel / (2 * self.step)


Values = Sequence[Array]  # one flat array of float64 for each output


def sides(step: float, weights: Values, minus: Values, middle: Values, plus: Values) -> Sides:
    """Both differences, from the outputs at both ends and in the middle."""
    weights, minus, middle, plus = _alike(weights, minus, middle, plus)
    rights = [w * (p - m) for w, p, m in zip(weights, plus, middle, strict=True)]
    lefts = [w * (m - n) for w, m, n in zip(weights, middle, minus, strict=True)]
    lows = [np.minimum(a, b) for a, b in zip(rights, lefts, strict=True)]
    highs = [np.maximum(a, b) for a, b in zip(rights, lefts, strict=True)]
    return Sides(
        step,
        _total(rights) / step,
        _total(lefts) / step,
        _total(lows) / step,
        _total(highs) / step,
        _total(map(np.abs, [*rights, *lefts])),
        max(_total(np.abs(w * v) for w, v in zip(weights, values, strict=True))
            for values in (minus, middle, plus)),
    )  # fmt: skip


def _alike(weights: Values, *others: Values) -> Sequence[Values]:
    """Outputs whose size changes, filled up with zeros, so that they jump."""
    sizes = [max(map(len, arrays)) for arrays in zip(weights, *others, strict=True)]
    if all([*map(len, one)] == sizes for one in (weights, *others)):
        return [weights, *others]
    return [
        [
            np.pad(array, (0, size - len(array)), constant_values=filled)
            for array, size in zip(one, sizes, strict=True)
        ]
        for one, filled in ((weights, 1.0), *((other, 0.0) for other in others))
    ]


def _total(arrays: Iterable[Array]) -> float:
    return sum((float(np.sum(array)) for array in arrays), 0.0)


@dataclass(frozen=True)
class Line:
    """What was found along one direction.

    Attributes:
        verdict: ok: the gradient is the slope; kink: left and right slopes differ, and the
            gradient lies between them; jump: the outputs jump; non_finite: the gradient, or the
            outputs at or beside the point, are no finite numbers; unclear: the differences do not
            settle; disagrees: they do, and the gradient is not what they settle at.
        found: the product of the gradient with the direction.
        expected: the central difference.
        left, right: the differences to either side.
        error: |found - expected| by the scale of both; at a kink, from the nearest number between
            both sides.
        step: the step of the differences that were chosen.
    """

    verdict: Verdict
    found: float
    expected: float
    left: float
    right: float
    error: float
    step: float


# From the worst.
_ORDER: tuple[Verdict, ...] = ("non_finite", "disagrees", "jump", "unclear", "kink", "ok")


def worst(lines: Sequence[Line]) -> Line:
    """The worst of some lines: a gradient is no better."""
    return min(lines, key=lambda line: _ORDER.index(line.verdict))


@dataclass(frozen=True)
class Claim:
    """What a gradient says of the slope along a line.

    Attributes:
        found: <gradient, v>.
        spread: what is typical of that for other signs of v: the norm of their products.
        eps: the relative rounding of the net's numbers.
        tolerance: how far the gradient may be off, of the scale of what is compared.
    """

    found: float
    spread: float
    eps: float
    tolerance: float

    def judge(self, steps: Sequence[Sides]) -> Line:
        """What differences at several steps, from the largest, say of the claim.

        Larger steps than one whose differences are not finite are not looked at.
        """
        usable = _finite(steps)
        if len(usable) < 3 or not math.isfinite(self.found):
            return self._line("non_finite", steps[-1], math.nan, 1.0)
        scale = _Scale(self, usable)
        if _jumps(usable, self.eps):
            last = usable[-1]
            return self._line("jump", last, abs(self.found - last.central), scale.of(last))
        corner, error = _best(usable, self.eps, _low, _high)
        if _width(corner) > 2 * error:
            return self._at_kink(corner, error, scale)
        return self._at_smooth(usable, scale)

    def _at_kink(self, corner: Sides, error: float, scale: _Scale) -> Line:
        off, size = self._outside(corner), scale.of(corner)
        fits = off <= self.tolerance * size + error
        return self._line("kink" if fits else "disagrees", corner, off, size)

    def _at_smooth(self, steps: Sequence[Sides], scale: _Scale) -> Line:
        best, error = _best(steps, self.eps, _central)
        off, size = abs(self.found - best.central), scale.of(best)
        if error > min(0.1, 300 * self.tolerance) * size:
            return self._line("unclear", best, off, size)
        if off <= self.tolerance * size + error:
            return self._line("ok", best, off, size)
        small = _floor(steps)  # a kink that is too small to be seen before it is looked for
        if small is not None and self._outside(small) <= self.tolerance * size:
            return self._at_kink(small, 0.0, scale)
        return self._line("disagrees", best, off, size)

    def _outside(self, one: Sides) -> float:
        """How far the claim lies outside of both sides."""
        return max(one.low - self.found, self.found - one.high, 0.0)

    def _line(self, verdict: Verdict, one: Sides, off: float, scale: float) -> Line:
        known = off > 0.0 and math.isfinite(off)
        error = off / scale if known else off
        return Line(verdict, self.found, one.central, one.left, one.right, error, one.step)


class _Scale:
    """What differences are compared with: the claim, the slopes, and what is too small to count.

    Slopes below √ε of the outputs, or of the slopes at large steps, are none: v has the size of x.
    """

    def __init__(self, claim: Claim, steps: Sequence[Sides]) -> None:
        self._claimed = max(abs(claim.found), claim.spread)
        self._least = math.sqrt(claim.eps) * max(max(one.size, one.activity) for one in steps)

    def of(self, one: Sides) -> float:
        """The scale at one step."""
        return max(self._claimed, abs(one.central), one.activity, self._least)


def settled(steps: Sequence[Sides], eps: float) -> bool:
    """Whether a few steps show a smooth point, so that no further ones are needed."""
    usable = _finite(steps)
    if len(usable) < len(steps) or _jumps(usable, eps):
        return False
    widths = [_width(one) for one in usable]
    best, error = _best(usable, eps, _central)
    smooth = widths[-1] <= max(0.5 * widths[0], _SMOOTH * math.sqrt(eps) * best.activity)
    return bool(smooth and error <= 0.01 * best.activity)


# Of the distance of both sides: smooth points have less, in units of √ε.
_SMOOTH = 30


def _finite(steps: Sequence[Sides]) -> list[Sides]:
    """The smallest steps, as long as all is finite."""
    usable: list[Sides] = []
    for one in reversed(steps):
        if not np.isfinite([one.low, one.high, one.travel, one.size]).all():
            break
        usable.insert(0, one)
    return usable


def _jumps(steps: Sequence[Sides], eps: float) -> bool:
    last, before = steps[-1], steps[max(0, len(steps) - 4)]
    return last.travel > math.sqrt(eps) * last.size and last.travel > 0.5 * before.travel


def _floor(steps: Sequence[Sides]) -> Sides | None:
    """The narrowest step at which the distance of both sides neither falls nor rises with h.

    At a smooth point it falls with h until rounding raises it again; at a kink it has a floor, as
    wide as the ratio at which the sum of both would have grown threefold. Larger steps may have
    gone over another corner, so that the narrowest of all need not be on the floor.
    """
    reach = 1 if steps[0].step / steps[1].step > 6 else 2
    for k in sorted(range(reach, len(steps)), key=lambda k: _width(steps[k])):
        width = _width(steps[k])
        beside = [_width(steps[i]) for i in (k - reach, k + reach) if i < len(steps)]
        if all(width / 2 <= w <= 2 * width for w in beside):
            return steps[k]
    return None


def _width(one: Sides) -> float:
    return one.high - one.low


def _low(one: Sides) -> float:
    return one.low


def _high(one: Sides) -> float:
    return one.high


def _central(one: Sides) -> float:
    return one.central


def _best(
    steps: Sequence[Sides], eps: float, *measures: Callable[[Sides], float]
) -> tuple[Sides, float]:
    """The step at which what is measured is nearest to the steps beside it, and its error."""
    errors = [math.inf] * len(steps)
    for k in range(1, len(steps)):
        beside = steps[k - 1 : k + 2]
        distance = max(abs(m(steps[k]) - m(other)) for m in measures for other in beside)
        errors[k] = 3 * distance + 4 * eps * steps[k].size / steps[k].step
    best = int(np.argmin(errors))
    return steps[best], errors[best]
