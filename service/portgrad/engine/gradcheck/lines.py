"""Random lines through a point, along which a gradient is held against differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from portgrad.engine.arrays import Array
from portgrad.engine.gradcheck import slopes
from portgrad.engine.gradcheck.slopes import Claim, Line, Sides, Values

Random = np.random.Generator
_ENDLESS = 1e30


@dataclass
class Subject:
    """A function at a point, with its gradient there.

    Attributes:
        gradient: the gradient of Σ weights · values, shaped like the target.
        weights: what is imposed at each output, flat.
        values: the outputs, flat, in float64, where the target has been moved by an array.
        middle: the outputs at the point.
        eps: the relative rounding of the numbers that it is computed in.
    """

    gradient: Array
    weights: Values
    values: Callable[[Array], Values]
    middle: Values
    eps: float


def flat(array: Array) -> Array:
    """An output as lines are judged."""
    return np.asarray(array).astype(np.float64).reshape(-1)


def direction(point: Array, random: Random) -> Array:
    """A direction of normal numbers, of the scale of a point.

    Each element moves by the geometric mean of its own size and the point's, so that small
    positive numbers stay positive at small steps, and still count; a zero moves by the point's.
    What stands for infinity, as in masks, stays.
    """
    sizes = np.abs(point.astype(np.float64))
    fixed = ~(sizes < _ENDLESS)
    sizes = np.where(fixed, 0.0, sizes)
    largest = sizes.max(initial=0.0)
    if largest == 0.0:
        return np.asarray(np.where(fixed, 0.0, random.standard_normal(point.shape)))
    typical = largest * np.sqrt(np.mean(np.square(sizes / largest)))
    moved = np.where(sizes > 0, np.sqrt(sizes) * np.sqrt(typical), typical)
    return np.asarray(np.where(fixed, 0.0, moved) * random.standard_normal(point.shape))


def walk(subject: Subject, along: Array, tolerance: float) -> Line:
    """Judge the gradient along one direction, by three steps where these settle it, else by all."""
    products = subject.gradient.astype(np.float64) * along
    spread = float(np.linalg.norm(products.reshape(-1)))
    claim = Claim(float(products.sum()), spread, subject.eps, tolerance)
    steps = slopes.ladder(subject.eps)
    taken = {step: _sides(subject, along, step) for step in steps[slopes.MIDDLE]}
    middle = list(taken.values())
    if slopes.settled(middle, subject.eps):
        line = claim.judge(middle)
        if line.verdict == "ok":
            return line
    taken |= {step: _sides(subject, along, step) for step in steps if step not in taken}
    return claim.judge([taken[step] for step in steps])


def _sides(subject: Subject, along: Array, step: float) -> Sides:
    minus, plus = (subject.values(sign * step * along) for sign in (-1, 1))
    return slopes.sides(step, subject.weights, minus, subject.middle, plus)
