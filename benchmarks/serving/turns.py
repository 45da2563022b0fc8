"""Calls timed one by one, by turns: some of the one, then some of the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.turns import PAUSE, Spread, spread

Call = Callable[[], Any]


@dataclass(frozen=True)
class Times:
    """Milliseconds of calls.

    Attributes:
        turns: an array with a row for each turn.
    """

    turns: np.ndarray

    @property
    def p50(self) -> Spread:
        """The median of all calls, and of each turn."""
        low, middle, high = (float(q) for q in np.percentile(self.turns, [25, 50, 75]))
        return Spread(middle, (low, high), tuple(np.median(self.turns, axis=1)))

    @property
    def p99(self) -> float:
        """The 99th percentile of all calls."""
        return float(np.percentile(self.turns, 99))

    def over(self, other: Times) -> Spread:
        """How many times longer these took: the medians of each turn against one another."""
        return spread(list(np.median(self.turns, axis=1) / np.median(other.turns, axis=1)))


def by_turns(calls: Mapping[str, Call], count: int, turns: int, warm: int = 1) -> dict[str, Times]:
    """`count` calls of each in each of some turns, after some turns that only warm up."""
    spent: dict[str, list[list[float]]] = {name: [] for name in calls}
    for _ in range(warm + turns):
        for name, call in calls.items():
            spent[name].append(_timed(call, count))
            time.sleep(PAUSE)
    return {name: Times(np.array(each[warm:])) for name, each in spent.items()}


def _timed(call: Call, count: int) -> list[float]:
    found = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        found.append((time.perf_counter() - start) * 1e3)
    return found
