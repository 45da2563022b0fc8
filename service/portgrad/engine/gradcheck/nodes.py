"""Each step of a net held against differences by itself, at the values that data give it.

Where the net's gradient is not the slope, this tells which step's rule is wrong, or which one is at
a kink or jump. A step is moved along random directions of its own operands, so that what is wrong
before it does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from portgrad.autodiff import MOVE
from portgrad.autodiff.steps import Place, Step
from portgrad.engine.arrays import Array, Value
from portgrad.engine.gradcheck.lines import Random, Subject, direction, flat, walk
from portgrad.engine.gradcheck.slopes import STEPS, Line, ladder, worst
from portgrad.engine.tracing import Alone, Tracer, stretches
from portgrad.errors import RunFailed, Unsupported

MOST_EXAMPLES = 16  # of a net that is fed one by one
_DIRECTIONS = 2  # of each operand


@dataclass(frozen=True)
class Examined:
    """A step and what was found where one of its operands is moved."""

    step: Step
    operand: str
    line: Line

    @property
    def place(self) -> Place:
        """The step, by the first value that it computes."""
        return Place(self.step.outputs[0], self.step.node, self.step.operator)


def examine(tracer: Tracer, eps: float, tolerance: float, random_seed: int) -> Iterator[Examined]:
    """Steps in the order of the net, up to the stretch in which one disagrees.

    A step that cannot be run alone is left out.
    """
    random = np.random.default_rng(random_seed)
    for stretch in stretches([step for step in tracer.course.steps if step.moving]):
        names = dict.fromkeys(name for step in stretch for name in (*step.operands, *step.moving))
        nets = {step: Alone(tracer.executor, tracer.plan, step) for step in stretch}
        lines: dict[tuple[Step, str], list[Line]] = {
            (step, name): [] for step in stretch for name in step.moving
        }
        for values in islice(tracer.values(list(names)), MOST_EXAMPLES):
            for (step, name), judged in lines.items():
                judged.extend(_lines(nets[step], name, values, random, Scale(eps, tolerance)))
        found = [Examined(*where, _typical(judged)) for where, judged in lines.items() if judged]
        yield from found
        if any(one.line.verdict == "disagrees" for one in found):
            return


@dataclass(frozen=True)
class Scale:
    """The relative rounding of numbers, and how far gradients may be off."""

    eps: float
    tolerance: float


def _lines(
    net: Alone, operand: str, values: Mapping[str, Value], random: Random, scale: Scale
) -> list[Line]:
    try:
        moved = _Moved(net, operand, values, scale)
        with np.errstate(all="ignore"):
            return [moved.judged(random) for _ in range(_DIRECTIONS)]
    except (RunFailed, Unsupported):
        return []


class _Moved:
    """A step as a function of one of its operands."""

    def __init__(self, net: Alone, operand: str, values: Mapping[str, Value], scale: Scale) -> None:
        self._net, self._operand, self._values, self._scale = net, operand, values, scale
        points = {name: np.asarray(values[name]) for name in net.step.moving}
        self._point = points[operand]
        self._still = {MOVE + n: np.zeros([1] * p.ndim, p.dtype) for n, p in points.items()}
        self._middle = net.outputs(values, self._still)

    def judged(self, random: Random) -> Line:
        """What a random direction shows, with random cotangents.

        Where it shows a kink or jump, the elements of the outputs that have none are judged alone:
        beside the others, what is wrong with them might be between the slopes.
        """
        seeds = {n: np.asarray(random.standard_normal(a.shape)) for n, a in self._middle.items()}
        along = direction(self._point, random)
        line = walk(self._subject(seeds), along, self._scale.tolerance)
        if line.verdict not in ("kink", "jump"):
            return replace(line, verdict="unclear") if _swallowed(line) else line
        smooth = self._smooth(along, ladder(self._scale.eps)[STEPS // 2])
        kept = {name: np.where(smooth[name], seed, 0.0) for name, seed in seeds.items()}
        alone = walk(self._subject(kept), along, self._scale.tolerance)
        return alone if alone.verdict == "disagrees" else line

    def _smooth(self, along: Array, step: float) -> dict[str, Array]:
        """Where the slopes to either side are alike."""
        ends = [self._outputs(sign * step * along) for sign in (-1, 1)]
        found = {}
        for name, middle in self._middle.items():
            if any(end[name].shape != middle.shape for end in ends):
                found[name] = np.zeros(middle.shape, np.bool_)
                continue
            left, right = (abs(1.0 * end[name] - middle) for end in ends)
            apart = abs(1.0 * ends[0][name] + ends[1][name] - 2.0 * middle)
            found[name] = apart <= max(1e-3, 10 * step) * (left + right)
        return found

    def _subject(self, seeds: Mapping[str, Array]) -> Subject:
        step, gradient = self._net.step, np.zeros(self._point.shape)
        if step.active:
            cast = {name: np.asarray(seeds[name], self._middle[name].dtype) for name in step.active}
            gradient = self._net.gradients(self._values, cast)[self._operand]
        return Subject(
            gradient,
            [flat(seeds[name]) for name in self._middle],
            lambda move: [flat(array) for array in self._outputs(move).values()],
            [flat(array) for array in self._middle.values()],
            self._scale.eps,
        )

    def _outputs(self, move: Array) -> Mapping[str, Array]:
        moves = {**self._still, MOVE + self._operand: np.asarray(move, self._point.dtype)}
        return self._net.outputs(self._values, moves)


def _swallowed(line: Line) -> bool:
    """Whether a slope is right only as all is that is small beside the outputs: the lowest of all
    numbers, added by a mask, swallows what it is added to."""
    off, size = abs(line.found - line.expected), max(abs(line.found), abs(line.expected))
    return line.verdict == "ok" and off > 0.1 * size


def _typical(lines: Sequence[Line]) -> Line:
    """What is said of a step. At a kink or jump there are directions that do not show it, and along
    them the gradient may be no slope: a loop may add up what has a kink with either sign.
    """
    return worst([line for line in lines if line.verdict in ("kink", "jump")] or lines)
