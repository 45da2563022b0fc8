"""Things timed by turns: some of the one, then some of the other, so that both see the same hour.

A ratio is that of the medians; its spread are the quartiles of the ratios of single turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Call = Callable[[], Any]


@dataclass(frozen=True)
class Times:
    """Milliseconds of calls, in turns.

    Attributes:
        turns: an array of the calls of each turn.
    """

    turns: np.ndarray

    @property
    def p50(self) -> float:
        """The median of all calls."""
        return float(np.median(self.turns))

    @property
    def p99(self) -> float:
        """The 99th percentile of all calls."""
        return float(np.percentile(self.turns, 99))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Of all calls."""
        low, high = np.percentile(self.turns, [25, 75])
        return float(low), float(high)

    def over(self, other: Times) -> Ratio:
        """How many times longer these took."""
        each = np.median(self.turns, axis=1) / np.median(other.turns, axis=1)
        return Ratio(self.p50 / other.p50, each)


@dataclass(frozen=True)
class Ratio:
    """Of two medians, and that of each turn."""

    of_medians: float
    each: np.ndarray

    @property
    def quartiles(self) -> tuple[float, float]:
        """Of the turns' ratios."""
        low, high = np.percentile(self.each, [25, 75])
        return float(low), float(high)


def by_turns(calls: Mapping[str, Call], count: int, turns: int, warm: int = 1) -> dict[str, Times]:
    """`count` calls of each in each of some turns, after some turns that only warm up."""
    spent: dict[str, list[list[float]]] = {name: [] for name in calls}
    for _ in range(warm + turns):
        for name, call in calls.items():
            spent[name].append(_timed(call, count))
    return {name: Times(np.array(each[warm:])) for name, each in spent.items()}


def _timed(call: Call, count: int) -> list[float]:
    found = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        found.append((time.perf_counter() - start) * 1e3)
    return found
