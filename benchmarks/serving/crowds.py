"""Throughput by turns: the same clients at one server, then at another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.serving.load import Load, Loaded, post
from benchmarks.serving.turns import Ratio
from portgrad_client import Net, calls


@dataclass(frozen=True)
class Throughput:
    """What each turn of load showed."""

    turns: list[Loaded]

    @property
    def rate(self) -> float:
        """Answers a second: the median of the turns."""
        return float(np.median([turn.rate for turn in self.turns]))

    @property
    def failed(self) -> int:
        """Answers of another status than 200."""
        return sum(turn.failed for turn in self.turns)

    def percentile(self, percent: float) -> float:
        """Of the milliseconds of all calls."""
        return float(np.percentile(np.concatenate([turn.ms for turn in self.turns]), percent))

    def over(self, other: Throughput) -> Ratio:
        """How many times more were answered."""
        pairs = zip(self.turns, other.turns, strict=True)
        return Ratio(self.rate / other.rate, np.array([a.rate / b.rate for a, b in pairs]))


def by_turns(
    loads: Mapping[str, Load], seconds: float, turns: int, warm: int = 1
) -> dict[str, Throughput]:
    """Some seconds of each in each of some turns, after some turns that only warm up."""
    found: dict[str, list[Loaded]] = {name: [] for name in loads}
    for _ in range(warm + turns):
        for name, load in loads.items():
            found[name].append(load.run(seconds))
    return {name: Throughput(each[warm:]) for name, each in found.items()}


def gradient(net: Net, data: np.ndarray) -> bytes:
    """The SDK's request for a gradient, as bytes of HTTP."""
    request = calls.build(net, "gradient", data, {}).request()
    return post(f"{net.path}/gradient", request["content"], **request["headers"])


def echoed(net: Net, data: np.ndarray) -> bytes:
    """The body of that request, for an echo."""
    request = calls.build(net, "gradient", data, {}).request()
    return post("/echo", request["content"], **request["headers"])
