"""Times by turns: things that are compared run one after the other, round by round.

A busy machine slows both alike, so that their ratio is steadier than either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Call = Callable[[], object]
Times = dict[str, list[float]]
TURN = 0.05  # seconds that one turn lasts at least; what is quicker is called several times
PAUSE = 0.01  # seconds after a turn, in which the threads that waited for more work go to sleep


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles, and all it is of."""

    median: float
    quartiles: tuple[float, float]
    raw: tuple[float, ...]


def spread(values: list[float]) -> Spread:
    """The median of some values, with their quartiles."""
    low, middle, high = (float(one) for one in np.percentile(values, [25, 50, 75]))
    return Spread(middle, (low, high), tuple(values))


def by_turns(calls: Mapping[str, Call], rounds: int, clock: Callable[[], float]) -> Times:
    """Seconds of one call of each, for each round. Each is called before, to warm up."""
    often = {name: _often(call) for name, call in calls.items()}
    times: Times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            for _ in range(often[name]):
                call()
            times[name].append((clock() - start) / often[name])
            time.sleep(PAUSE)
    return times


def ratio(times: Times, one: str, other: str) -> Spread:
    """How many times as long the one took as the other, round by round."""
    return spread([a / b for a, b in zip(times[one], times[other], strict=True)])


def _often(call: Call) -> int:
    """How many calls make a turn; the first is not counted, in which things are compiled."""
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    return max(1, round(TURN / max(once, 1e-7)))
