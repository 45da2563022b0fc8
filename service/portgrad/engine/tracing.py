"""Where inside a net numbers stop being finite, either way, and where cotangents vanish.

Inner values and their cotangents are given out by plans of their own, a stretch of the net at a
time, so that they need not fit into memory all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from portgrad.autodiff import SEED
from portgrad.autodiff.steps import Place, Step, alone, course
from portgrad.engine import ways
from portgrad.engine.arrays import Array, Value
from portgrad.engine.execution import Execution
from portgrad.engine.executor import Executor
from portgrad.engine.plan import Compiled, Plan
from portgrad.engine.ways import Feeds
from portgrad.engine.weights import Weights

STRETCH = 64  # values, or steps, that one plan gives out
Item = TypeVar("Item")


@dataclass(frozen=True)
class Flags:
    """What is to be known of a value, or of its cotangent, over all that a call runs."""

    zero: bool
    nan: bool
    infinite: bool

    def __or__(self, other: Flags) -> Flags:
        return Flags(
            self.zero and other.zero, self.nan or other.nan, self.infinite or other.infinite
        )


def flags(array: Array) -> Flags:
    """The flags of an array; that of no elements is zero."""
    return Flags(not np.any(array), bool(np.any(np.isnan(array))), bool(np.any(np.isinf(array))))


@dataclass(frozen=True)
class First:
    """The first values, in some order, that are not finite."""

    nan: Place | None = None
    infinite: Place | None = None


class Tracer:
    """Looks into what a call for gradients computed, by computing it again.

    Args:
        executor: what ran the call.
        call: the call.

    Attributes:
        course: how the net gets to what is summed.
    """

    def __init__(self, executor: Executor, call: Execution) -> None:
        self.executor = executor
        self.plan = replace(call.plan, apart=False, outputs=())
        self._call = replace(call, plan=self.plan)
        self.course = course(
            executor.model,
            wrt=self.plan.wrt,
            of=self.plan.of,
            known=executor.names.producers(),
            quantized=self.plan.quantized,
        )

    def forward(self) -> First:
        """The first values that are not finite, ports and parameters before all others."""
        found: dict[str, Flags] = {}
        for stretch in stretches(self.course.values):
            for values in self.values([place.value for place in stretch]):
                _note(found, values)
            if any(seen.nan for seen in found.values()):
                break
        return _first(self.course.values, found)

    def backward(self) -> dict[str, Flags]:
        """The flags of the cotangents of all values that have one, from the outputs back."""
        inner = [name for step in reversed(self.course.steps) for name in step.active]
        names = list(dict.fromkeys([*self.plan.of, *inner, *self.plan.wrt]))
        found: dict[str, Flags] = {}
        for stretch in stretches(names):
            for cotangents in self._cotangents(stretch):
                _note(found, cotangents)
        return found

    def author(self, found: Mapping[str, Flags]) -> First:
        """The first values whose cotangents are not finite, with the nodes that made them so."""
        first = _first([Place(name) for name in found], found)
        return First(*(p and self._author(p.value) for p in (first.nan, first.infinite)))

    def vanished(self, target: str, found: Mapping[str, Flags]) -> Place | None:
        """The first value, from the outputs back to a target, whose cotangent is all zero."""
        reached = self.reached(target, by_cotangents=True)
        name = next((n for n in found if n in reached and found[n].zero), None)
        readers = [] if name is None else self._readers(name)
        return None if name is None else _sent(name, readers if len(readers) == 1 else [])

    def reached(self, target: str, *, by_cotangents: bool = False) -> set[str]:
        """A target and the values that it changes, or only those that send it a cotangent."""
        reached = {target}
        for step in self.course.steps:
            if not reached.isdisjoint(step.moving):
                reached.update(step.active if by_cotangents else step.outputs)
        return reached

    def feeds(self) -> Iterator[Feeds]:
        """What the net itself is fed."""
        return ways.alone(self.executor, self._call)

    def values(self, names: Sequence[str]) -> Iterator[dict[str, Value]]:
        """Values by name, once for each time that the net is fed."""
        held = self.executor.model.graph.initializers
        known = {
            n: v.numpy() for n in names if n in held and (v := held[n].const_value) is not None
        }
        ports = {str(port.name) for port in self.executor.model.graph.inputs}
        inner = tuple(name for name in names if name not in known and name not in ports)
        compiled = self.executor.once(Plan(outputs=inner)) if inner else None
        for data, _ in self.feeds():
            found = {name: data[name] for name in names if name in ports}
            computed = {} if compiled is None else compiled.run(data, {}).outputs
            yield {**known, **found, **computed}

    def _cotangents(self, names: Sequence[str]) -> Iterator[Mapping[str, Array]]:
        compiled = self.executor.once(replace(self.plan, wrt=tuple(names)))
        for data, imposed in self.feeds():
            yield compiled.run(data, imposed).derivatives

    def _readers(self, name: str) -> list[Step]:
        return [step for step in self.course.steps if name in step.moving and step.active]

    def _author(self, name: str) -> Place:
        """The node whose rule sent what is not finite; none where only the sum is not."""
        readers = self._readers(name)
        if len(readers) > 1:
            readers = [step for step in readers if self._sends_no_number(step, name)]
        return _sent(name, readers[-1:])

    def _sends_no_number(self, step: Step, name: str) -> bool:
        """Whether a step by itself sends a cotangent that is not finite."""
        net = Alone(self.executor, self.plan, step)
        every = zip(self.values(step.operands), self._cotangents(step.active), strict=True)
        return any(
            not np.isfinite(net.gradients(values, one)[name]).all()
            for values, seeds in every
            for one in (_each(seeds) if self.plan.stacked else [seeds])
        )


class Alone:
    """One step of a net as a net, ready to run.

    Args:
        executor: what runs the net.
        plan: what is asked of the net.
        step: the step.
    """

    def __init__(self, executor: Executor, plan: Plan, step: Step) -> None:
        self.step = step
        self._net = alone(executor.model, step)
        self._weights = Weights(self._net)
        self._quantized = plan.quantized

    def gradients(
        self, values: Mapping[str, Value], seeds: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """What the step's rule sends to each operand, given cotangents of what it computes."""
        imposed = {SEED + name: seeds[name] for name in self.step.active}
        return self._back.run(values, imposed).derivatives

    def outputs(
        self, values: Mapping[str, Value], moves: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """What the step computes where its operands are moved."""
        return self._moved.run(values, moves).outputs

    @cached_property
    def _moved(self) -> Compiled:
        step = self.step
        return self._compiled(Plan(kind="moved", tangents=step.moving, outputs=step.outputs))

    @cached_property
    def _back(self) -> Compiled:
        step = self.step
        return self._compiled(
            Plan(wrt=step.moving, of=step.active, seeds=step.active, quantized=self._quantized)
        )

    def _compiled(self, plan: Plan) -> Compiled:
        return plan.compile(self._net, self._weights, 1)


def stretches(items: Sequence[Item], size: int = STRETCH) -> Iterator[Sequence[Item]]:
    """Items in order, a stretch at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _each(stacks: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    for index in range(len(next(iter(stacks.values())))):
        yield {name: array[index] for name, array in stacks.items()}


def _sent(name: str, steps: Sequence[Step]) -> Place:
    return Place(name, steps[0].node, steps[0].operator) if steps else Place(name)


def _note(found: dict[str, Flags], arrays: Mapping[str, Value]) -> None:
    for name, array in arrays.items():
        seen = flags(np.asarray(array))
        found[name] = found[name] | seen if name in found else seen


def _first(places: Iterable[Place], found: Mapping[str, Flags]) -> First:
    seen = [(place, found[place.value]) for place in places if place.value in found]
    return First(
        next((place for place, flag in seen if flag.nan), None),
        next((place for place, flag in seen if flag.infinite), None),
    )
