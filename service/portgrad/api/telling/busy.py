"""The nets that keep the service busiest, in bounded memory, however many nets there are.

Some nets are shown, each with counts of its own; all others count as one. While a place is free, a
net is shown as soon as it is called. After that, places change hands once a minute: those who are
not shown compete in a sketch of fixed size (Metwally, Agrawal and El Abbadi's Space-Saving, 2005),
and a net that was surely busier in this minute than one that is shown, whose past counts half,
takes its place. So a crowd of a million nets takes no place from those that are busy, and moves at
most a tenth of them in a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

OTHERS = "other"
_TURN = 60.0
_CANDIDATES = 128
# What a call weighs beside its seconds.
_CALL = 0.001


@dataclass(slots=True)
class Counts:
    """Calls of one net, and their seconds; `weight` is how busy it has been of late."""

    calls: int = 0
    seconds: float = 0.0
    weight: float = 0.0

    def add(self, seconds: float) -> None:
        """One more call."""
        self.calls += 1
        self.seconds += seconds
        self.weight += seconds + _CALL


@dataclass(slots=True)
class _Candidate:
    """What a net weighs at most, and how much of that may be another's."""

    weight: float
    error: float


class BusyNets:
    """Counts by net. For one thread.

    Args:
        limit: how many nets are shown.
        clock: seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._shown: dict[str, Counts] = {}
        self._others = Counts()
        self._candidates: dict[str, _Candidate] = {}
        self._turned = clock()

    def add(self, net_id: str, seconds: float) -> None:
        """One call of a net, and the seconds that it took."""
        if self._clock() - self._turned >= _TURN:
            self._turn()
        shown = self._shown.get(net_id)
        if shown is None and len(self._shown) < self._limit:
            shown = self._shown[net_id] = Counts()
        if shown is not None:
            shown.add(seconds)
        else:
            self._others.add(seconds)
            self._compete(net_id, seconds + _CALL)

    def forget(self, net_id: str) -> None:
        """The net is gone; its place is free."""
        self._shown.pop(net_id, None)

    def __iter__(self) -> Iterator[tuple[str, Counts]]:
        """Each net that is shown with its counts, then all others together."""
        yield from self._shown.items()
        yield OTHERS, self._others

    def _compete(self, net_id: str, weight: float) -> None:
        candidate = self._candidates.get(net_id)
        if candidate is not None:
            candidate.weight += weight
        elif len(self._candidates) < _CANDIDATES:
            self._candidates[net_id] = _Candidate(weight, 0.0)
        else:
            least = min(self._candidates, key=lambda net: self._candidates[net].weight)
            error = self._candidates.pop(least).weight
            self._candidates[net_id] = _Candidate(error + weight, error)

    def _turn(self) -> None:
        """Places change hands, and what was counts half from now on."""
        weakest = sorted(self._shown, key=lambda net: self._shown[net].weight)
        sure = {net: each.weight - each.error for net, each in self._candidates.items()}
        strongest = sorted(sure, key=lambda net: sure[net], reverse=True)
        moves = max(1, self._limit // 10)
        for old, new in zip(weakest[:moves], strongest, strict=False):
            if sure[new] > self._shown[old].weight:
                del self._shown[old]
                self._shown[new] = Counts(weight=sure[new])
        for counts in self._shown.values():
            counts.weight /= 2
        self._candidates.clear()
        self._turned = self._clock()
