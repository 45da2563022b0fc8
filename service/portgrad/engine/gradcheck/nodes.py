"""Each step of a net held against differences by itself, at the values that data give it.

Where the net's gradient is not the slope, this tells which step's rule is wrong, or which one is at
a kink or jump. A step is moved along random directions of its own operands, so that what is wrong
before it does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from portgrad.autodiff import MOVE
from portgrad.autodiff.steps import Place, Step
from portgrad.engine.arrays import Array, Value
from portgrad.engine.gradcheck.lines import Random, Subject, direction, flat, walk
from portgrad.engine.gradcheck.slopes import Line, worst
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
    point = np.asarray(values[operand])
    try:
        with np.errstate(all="ignore"):
            return [
                walk(
                    _subject(net, operand, values, random, scale.eps),
                    direction(point, random),
                    scale.tolerance,
                )
                for _ in range(_DIRECTIONS)
            ]
    except (RunFailed, Unsupported):
        return []


def _subject(
    net: Alone, operand: str, values: Mapping[str, Value], random: Random, eps: float
) -> Subject:
    """The step's outputs as a function of one operand, with random cotangents."""
    points = {name: np.asarray(values[name]) for name in net.step.moving}
    still = {MOVE + name: np.zeros([1] * p.ndim, p.dtype) for name, p in points.items()}

    def outputs(move: Array) -> list[Array]:
        moves = {**still, MOVE + operand: np.asarray(move, points[operand].dtype)}
        return [flat(array) for array in net.outputs(values, moves).values()]

    middle = net.outputs(values, still)
    seeds = {n: np.asarray(random.standard_normal(array.shape)) for n, array in middle.items()}
    gradient = np.zeros(points[operand].shape)
    if net.step.active:
        cast = {name: np.asarray(seeds[name], middle[name].dtype) for name in net.step.active}
        gradient = net.gradients(values, cast)[operand]
    weights = [flat(seeds[name]) for name in middle]
    return Subject(gradient, weights, outputs, [flat(a) for a in middle.values()], eps)


def _typical(lines: Sequence[Line]) -> Line:
    """What is said of a step. At a kink or jump there are directions that do not show it, and along
    them the gradient may be no slope: a loop may add up what has a kink with either sign.
    """
    return worst([line for line in lines if line.verdict in ("kink", "jump")] or lines)
