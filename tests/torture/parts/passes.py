"""Gradients of random nets by the ways that the engine has of its own, beside double precision.

There most of these ways are not gone. Half of the nets are met with thresholds so low that each way
is taken by nets as small as these. Every call is made again later, of the same net and of one that
is loaded anew, and gives the same to the last bit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np

import portgrad
from portgrad.autodiff.rules import lstm_steps
from portgrad.autodiff.vocabulary import convolutions
from portgrad.engine import ahead, alive
from portgrad.engine.rewrites import masking, sums, turning
from support.engine import Array
from torture import idioms
from torture.draft import Draft
from torture.plan import Plan
from torture.report import Clock, Row

SECONDS = 15 * 60.0
CALLS, BATCHES = 6, (1, 1, 2, 3, 17)
# Float32 through a dozen layers, relative to a gradient's largest element: a tap, a channel or an
# example that is left out is more than that.
CLOSE, FLOOR = 3e-3, 1e-6
_LOW: tuple[tuple[Any, str, int], ...] = (
    (ahead, "WORTH", 0), (alive, "_LARGE", 1024), (lstm_steps, "LARGE", 0), (masking, "_WIDE", 2),
    (sums, "_FEW", 2), (sums, "_STACKED", 2), (turning, "_MANY", 2), (turning, "_WIDE", 2),
    (convolutions, "MANY_COLUMNS", 3), (convolutions, "MANY_CHANNELS", 2),
    (convolutions, "MANY_WINDOWS", 4),
)  # fmt: skip


@dataclass
class Found:
    """What came of it.

    Attributes:
        nets: how many there were.
        arrays: how many were compared.
        wrong: what was, by the number of its net.
    """

    nets: int = 0
    arrays: int = 0
    wrong: list[str] = field(default_factory=list)

    def compare(self, where: str, got: Mapping[str, Array], want: Mapping[str, Array]) -> None:
        """Gradients in single and in double precision."""
        assert got.keys() == want.keys()
        for name, right in want.items():
            self.arrays += 1
            assert got[name].shape == right.shape
            off, most = (np.abs(array).max(initial=0.0) for array in (got[name] - right, right))
            if not off <= CLOSE * most + FLOOR:
                self.wrong.append(f"{where}: {name} is off by {off:.2g} of {most:.2g}")

    def same(self, where: str, got: Mapping[str, Array], again: Mapping[str, Array]) -> None:
        """What the same call gave at two times."""
        self.wrong += [
            f"{where}: {name} is another"
            for name in got
            if got[name].tobytes() != again[name].tobytes()
        ]


def run(plan: Plan) -> Iterator[Row]:
    """A row for all nets together."""
    clock, found, seconds = Clock(), Found(), plan.seconds(SECONDS)
    until, seed = time.monotonic() + seconds, plan.seed
    while time.monotonic() < until:
        with ExitStack() as lowered:
            for module, name, value in _LOW if seed % 2 else ():
                lowered.enter_context(patch.object(module, name, value))
            judge(seed, found)
        seed += 1
    for line in found.wrong[:20]:
        print(line)
    figure = f"{found.nets} nets, {found.arrays} gradients, {len(found.wrong)} of them wrong"
    yield Row("passes: gradients", figure, "0 wrong", not found.wrong, clock())


def judge(seed: int, found: Found) -> None:
    """Draw a net and calls on it, and look at what they give."""
    draft = idioms.net(seed)
    file = draft.to_bytes()
    net = portgrad.load(file, threads=1)
    found.nets += 1
    calls = [_call(draft, net) for _ in range(CALLS)]
    first = [dict(net.gradient(**call)) for call in calls]
    for call, got in zip(calls, first, strict=True):
        where = f"net {seed}, {len(next(iter(call['data'].values())))} examples by {call['wrt']}"
        found.compare(where, got, dict(net.gradient(**call, precision="float64")))
        found.same(where, got, dict(net.gradient(**call)))
    last = int(draft.rng.integers(CALLS))
    fresh = portgrad.load(file, threads=1)
    found.same(f"net {seed}, loaded anew", first[last], dict(fresh.gradient(**calls[last])))


def _call(draft: Draft, net: portgrad.Net) -> dict[str, Any]:
    floats = [name for name, (_, below) in draft.ports.items() if below is None]
    targets = floats + [
        name for name, value in net.names.parameters.items() if net.names.none_reason(value) is None
    ]
    some = [str(name) for name in draft.rng.permutation(targets)[: draft.pick(1, 2, 5)]]
    call = {"data": draft.data(draft.pick(*BATCHES)), "wrt": draft.pick("all", "all", some)}
    if draft.chance(0.2):
        call["reduction"] = "per_example"
    if draft.chance(0.3):
        values = net.evaluate(call["data"])
        call["output_gradients"] = {
            name: draft.rng.standard_normal(y.shape).astype(np.float32)
            for name, y in values.items()
        }
    return call
