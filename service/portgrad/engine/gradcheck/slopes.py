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
h; at a kink they stay apart; at a jump the way between them does not shrink. The smallest distance
that a smooth point shows is of order √ε.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
            return self._line("non_finite", steps[-1], math.nan)
        if _jumps(usable, self.eps):
            return self._line("jump", usable[-1], abs(self.found - usable[-1].central))
        corner = _corner(usable, self.eps)
        return self._at_smooth(usable) if corner is None else self._at_kink(corner)

    def _at_kink(self, corner: Sides) -> Line:
        off = self._outside(corner)
        return self._line("disagrees" if self._is_off(corner, off) else "kink", corner, off)

    def _at_smooth(self, steps: Sequence[Sides]) -> Line:
        best, error = _best(steps, self.eps)
        off, scale = abs(self.found - best.central), self._scale(best)
        if error > min(0.1, 300 * self.tolerance) * scale:
            return self._line("unclear", best, off)
        if off <= self.tolerance * scale + error:
            return self._line("ok", best, off)
        small = _floor(steps)  # a kink that is too small to be seen before it is looked for
        if small is not None and not self._is_off(small, self._outside(small)):
            return self._at_kink(small)
        return self._line("disagrees", best, off)

    def _outside(self, one: Sides) -> float:
        """How far the claim lies outside of both sides."""
        return max(one.low - self.found, self.found - one.high, 0.0)

    def _is_off(self, one: Sides, off: float) -> bool:
        return off > self.tolerance * self._scale(one)

    def _scale(self, one: Sides) -> float:
        """What a difference is compared with.

        Slopes below √ε of the outputs are none: v has the size of x, so that both compare.
        """
        least = math.sqrt(self.eps) * one.size
        return max(abs(self.found), abs(one.central), self.spread, one.activity, least)

    def _line(self, verdict: Verdict, one: Sides, off: float) -> Line:
        known = off > 0.0 and math.isfinite(off)
        error = off / self._scale(one) if known else off
        return Line(verdict, self.found, one.central, one.left, one.right, error, one.step)


def settled(steps: Sequence[Sides], eps: float) -> bool:
    """Whether a few steps show a smooth point, so that no further ones are needed."""
    usable = _finite(steps)
    if len(usable) < len(steps) or _jumps(usable, eps):
        return False
    widths = [_width(one) for one in usable]
    best, error = _best(usable, eps)
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


def _corner(steps: Sequence[Sides], eps: float) -> Sides | None:
    """The step that shows a kink best, None at a smooth point, or where the kink is a small one."""
    least = min(steps, key=_width)
    return _floor(steps) if _width(least) > _SMOOTH * math.sqrt(eps) * least.activity else None


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


def _best(steps: Sequence[Sides], eps: float) -> tuple[Sides, float]:
    """The step whose central difference is nearest to those of its neighbours, and its error."""
    centrals = [one.central for one in steps]
    errors = [np.inf] * len(steps)
    for k in range(1, len(steps)):
        beside = centrals[k - 1 : k + 2]
        distance = max(abs(centrals[k] - other) for other in beside)
        errors[k] = 3 * distance + 4 * eps * steps[k].size / steps[k].step
    best = int(np.argmin(errors))
    return steps[best], float(errors[best])
