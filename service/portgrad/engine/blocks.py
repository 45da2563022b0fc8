"""Jacobians and Hessians: every product with a unit vector, many to a run.

A block is the derivative of one value with respect to another. Where examples are apart its leading
axis is theirs, and one unit vector serves all of them at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from portgrad.autodiff import SEED, TANGENT
from portgrad.engine import batches
from portgrad.engine.arrays import Array
from portgrad.engine.batches import AS_IS, EXAMPLE, Reading
from portgrad.engine.execution import Arrays, Execution, Values
from portgrad.engine.executor import Executor
from portgrad.engine.limits import check_answer
from portgrad.engine.plan import Plan

# Of the unit vectors and the products of one run together: enough to make its forward pass cheap.
RUN_BYTES = 2**26
FORWARD, REVERSE = "forward", "reverse"

Blocks = dict[str, dict[str, Array]]


@dataclass(frozen=True)
class Space:
    """One value: its shape without the example axis, and where that axis is, if it has one."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axis: int | None

    @property
    def size(self) -> int:
        """How many unit vectors it has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """What it takes for one example."""
        return self.size * self.dtype.itemsize


class Frame:
    """One call for blocks: its arrays, and whether its examples are apart.

    Args:
        executor: what runs plans.
        data: an array for each port, and what else the variant of the net reads.
        batch: the reading to force.
        of: what the blocks are of: all must have an entry for each example to be apart.
        wrt: the targets: what of them is no entry for each example must be the same for all.
        imposed: what is imposed at outputs, by feed, for a Hessian.
        limit: the most bytes of an answer.

    Attributes:
        apart: whether each example has blocks of its own.
        count: the number of examples, 1 where they are not apart.
        timings: seconds by stage, over all runs.
    """

    def __init__(
        self,
        executor: Executor,
        data: Values,
        batch: str | None,
        of: Sequence[str],
        wrt: Iterable[str],
        *,
        imposed: Arrays,
        limit: int,
    ) -> None:
        self._executor = executor
        self._data = data
        self._imposed = imposed
        self._limit = limit
        self._reading = batches.read(executor.ports, data, batch)
        if batch is None and self._reading.kind == AS_IS:
            found = executor.examples(self._reading, of, data)
            if found is not None and all(_placed(executor, name, found) for name in wrt):
                self._reading = found
        self.apart = bool(self._reading.batched) and self._reading.kind != EXAMPLE
        self.count = self._reading.count if self.apart else 1
        self._done: Execution | None = None
        self.timings = {"compile": 0.0, "run": 0.0}

    @property
    def first(self) -> Execution:
        """The first run, with the outputs that were asked for."""
        assert self._done is not None, "blocks take at least one run"
        return self._done

    def space(self, name: str) -> Space:
        """The space of a value's derivatives."""
        shape, axis = self._executor.seen(name, self._data, self._reading)
        dtype = self._executor.dtype(name)
        if not self.apart or axis is None:
            return Space(name, shape, dtype, None)
        return Space(name, shape[:axis] + shape[axis + 1 :], dtype, axis)

    def check(self, what: str, pairs: Iterable[tuple[Space, Space]]) -> None:
        """Refuse blocks that are larger than an answer may be."""
        sizes = [((self.count, a.size, b.size), b.dtype.itemsize) for a, b in pairs]
        check_answer(what, sizes, self._limit)

    def products(
        self, plan: Plan, at: Space, feed: str, results: Sequence[Space]
    ) -> dict[str, Array]:
        """The products of a stacked plan with all unit vectors of a space.

        Returns:
            For each result an array with the unit vectors on its first axis and, where it has
            examples of its own or shows those of `at`, these on the second.
        """
        parts: dict[str, list[Array]] = {space.name: [] for space in results}
        row = sum(space.bytes * self.count for space in (at, *results))
        step = max(1, RUN_BYTES // max(1, row))
        for start in range(0, at.size, step) if at.size else [0]:
            units = self._units(at, start, min(at.size, start + step))
            found = self._run(plan, {feed + at.name: units}).results.derivatives
            for space in results:
                array, axis = found[space.name], space.axis
                parts[space.name].append(array if axis is None else np.moveaxis(array, axis + 1, 1))
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _run(self, plan: Plan, imposed: Arrays) -> Execution:
        imposed = {**self._imposed, **imposed}
        done = self._executor.execute(plan, self._data, imposed, reading=self._reading)
        for stage, seconds in done.timings.items():
            self.timings[stage] += seconds
        self._done = self._done or done
        return done

    def _units(self, at: Space, start: int, stop: int) -> Array:
        units = np.zeros((stop - start, at.size), at.dtype)
        units[np.arange(stop - start), np.arange(start, stop)] = 1
        units = units.reshape(stop - start, *at.shape)
        if at.axis is None:
            return units
        return np.repeat(np.expand_dims(units, at.axis + 1), self.count, at.axis + 1)


def _placed(executor: Executor, name: str, reading: Reading) -> bool:
    """Whether the examples have an axis of their own in a value, or share it."""
    return executor.axis(name, reading) is not None or executor.shared(name, reading)


def jacobian(
    frame: Frame, plan: Plan, of: Sequence[Space], wrt: Sequence[Space], direction: str | None
) -> tuple[Blocks, str]:
    """The blocks of a Jacobian, and the direction that they were computed in.

    Args:
        frame: the call.
        plan: the options that all runs have.
        of, wrt: the spaces of outputs and of targets.
        direction: forward, reverse, or None for that with fewer products.
    """
    frame.check("The Jacobian", itertools.product(of, wrt))
    if direction is None:
        fewer = sum(space.size for space in wrt) < sum(space.size for space in of)
        direction = FORWARD if fewer else REVERSE
    plan = replace(plan, stacked=True, apart=frame.apart)
    blocks: Blocks = {space.name: {} for space in of}
    if direction == REVERSE:
        plan = replace(plan, wrt=tuple(space.name for space in wrt))
        for o in of:
            one = replace(plan, of=(o.name,), seeds=(o.name,))
            for name, rows in frame.products(one, o, SEED, wrt).items():
                blocks[o.name][name] = _block(frame, rows, o, name, wrt)
        return blocks, direction
    plan = replace(plan, kind="jvp", of=tuple(space.name for space in of))
    for w in wrt:
        one = replace(plan, tangents=(w.name,))
        for name, columns in frame.products(one, w, TANGENT, of).items():
            block = _block(frame, columns, w, name, of)
            blocks[name][w.name] = _swapped(block, len(w.shape), frame.apart)
    return blocks, direction


def hessian(frame: Frame, plan: Plan, targets: Sequence[Space]) -> Blocks:
    """The blocks of a Hessian. Between targets that the examples share they are totals.

    Args:
        frame: the call.
        plan: what is summed, what is imposed, and the options that all runs have.
        targets: their spaces.
    """
    frame.check("The Hessian", itertools.product(targets, targets))
    blocks: Blocks = {space.name: {} for space in targets}
    own = [space for space in targets if space.axis is not None]
    for a in targets:
        # A unit vector at each example's own target gives totals over the examples at shared ones:
        # there the block comes from the unit vectors of the shared one.
        among = own if a.axis is not None else targets
        one = replace(
            plan,
            kind="hvp",
            wrt=tuple(space.name for space in among),
            tangents=(a.name,),
            stacked=True,
            apart=frame.apart,
        )
        for name, rows in frame.products(one, a, TANGENT, among).items():
            blocks[a.name][name] = _block(frame, rows, a, name, among)
            if a.axis is None and name in {space.name for space in own}:
                block = blocks[a.name][name]
                blocks[name][a.name] = _swapped(block, len(a.shape), apart=True)
    return {a.name: {b.name: blocks[a.name][b.name] for b in targets} for a in targets}


def _block(frame: Frame, rows: Array, at: Space, name: str, results: Sequence[Space]) -> Array:
    """Rows by unit vector as (*at, *result), examples before these where the rows have them."""
    shape = next(space.shape for space in results if space.name == name)
    if rows.ndim == 1 + len(shape):
        return rows.reshape((*at.shape, *shape))
    return np.moveaxis(rows, 1, 0).reshape(frame.count, *at.shape, *shape)


def _swapped(block: Array, first: int, apart: bool) -> Array:
    """A block with the axes of its two values exchanged; `first` axes belong to the first."""
    lead = int(apart)
    axes = range(lead, block.ndim)
    return block.transpose(*range(lead), *axes[first:], *axes[:first])
