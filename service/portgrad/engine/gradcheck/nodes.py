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
_DIRECTIONS = 3


@dataclass(frozen=True)
class Examined:
    """A step and the worst of what was found along its lines."""

    step: Step
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
        lines: dict[Step, list[Line]] = {step: [] for step in stretch}
        for values in islice(tracer.values(list(names)), MOST_EXAMPLES):
            for step, net in nets.items():
                lines[step] += _lines(net, values, random, eps, tolerance)
        found = [Examined(step, _typical(judged)) for step, judged in lines.items() if judged]
        yield from found
        if any(one.line.verdict == "disagrees" for one in found):
            return


def _lines(
    net: Alone, values: Mapping[str, Value], random: Random, eps: float, tolerance: float
) -> list[Line]:
    try:
        one = _Moved(net, values)
        with np.errstate(all="ignore"):
            return [
                walk(one.subject(random, eps), one.direction(random), tolerance)
                for _ in range(_DIRECTIONS)
            ]
    except (RunFailed, Unsupported):
        return []


def _typical(lines: Sequence[Line]) -> Line:
    """What is said of a step. At a kink or jump there are directions that do not show it, and along
    them the gradient may be no slope: a loop may add up what has a kink with either sign.
    """
    return worst([line for line in lines if line.verdict in ("kink", "jump")] or lines)


class _Moved:
    """A step whose moving operands are one flat array."""

    def __init__(self, net: Alone, values: Mapping[str, Value]) -> None:
        self._net, self._values = net, values
        self._points = {name: np.asarray(values[name]) for name in net.step.moving}
        still = {MOVE + n: np.zeros([1] * p.ndim, p.dtype) for n, p in self._points.items()}
        self._middle = net.outputs(values, still)

    def subject(self, random: Random, eps: float) -> Subject:
        """The step's outputs, with random cotangents."""
        seeds = {
            name: np.asarray(random.standard_normal(array.shape))
            for name, array in self._middle.items()
        }
        return Subject(
            self._gradient(seeds),
            [flat(seeds[name]) for name in self._middle],
            self._outputs,
            [flat(array) for array in self._middle.values()],
            eps,
        )

    def direction(self, random: Random) -> Array:
        """A direction of all operands."""
        return _joined([direction(point, random) for point in self._points.values()])

    def _gradient(self, seeds: Mapping[str, Array]) -> Array:
        if not self._net.step.active:
            return np.zeros(sum(point.size for point in self._points.values()))
        cast = {n: np.asarray(a, self._middle[n].dtype) for n, a in seeds.items()}
        found = self._net.gradients(self._values, cast)
        return _joined([found[name] for name in self._points])

    def _outputs(self, move: Array) -> list[Array]:
        moves, start = {}, 0
        for name, point in self._points.items():
            part = move[start : start + point.size].reshape(point.shape)
            moves[MOVE + name] = part.astype(point.dtype)
            start += point.size
        return [flat(array) for array in self._net.outputs(self._values, moves).values()]


def _joined(arrays: Sequence[Array]) -> Array:
    return np.concatenate([flat(array) for array in arrays])
