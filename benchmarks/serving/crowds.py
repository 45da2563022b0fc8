"""Throughput by turns: the same clients at one server, then at another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.serving.load import Load, Loaded, post
from benchmarks.turns import Spread, spread
from portgrad_client import Net, calls


@dataclass(frozen=True)
class Throughput:
    """What each turn of load showed."""

    turns: list[Loaded]

    @property
    def rate(self) -> Spread:
        """Answers a second."""
        return spread([turn.rate for turn in self.turns])

    @property
    def failed(self) -> int:
        """Answers of another status than 200."""
        return sum(turn.failed for turn in self.turns)

    def percentile(self, percent: float) -> float:
        """Of the milliseconds of all calls."""
        return float(np.percentile(np.concatenate([turn.ms for turn in self.turns]), percent))

    def over(self, other: Throughput) -> Spread:
        """How many times more were answered, turn by turn."""
        pairs = zip(self.turns, other.turns, strict=True)
        return spread([one.rate / two.rate for one, two in pairs])


def by_turns(
    loads: Mapping[str, Load], seconds: float, turns: int, warm: int = 1
) -> dict[str, Throughput]:
    """Some seconds of each in each of some turns, after some turns that only warm up."""
    found: dict[str, list[Loaded]] = {name: [] for name in loads}
    for _ in range(warm + turns):
        for name, load in loads.items():
            found[name].append(load.run(seconds))
    return {name: Throughput(each[warm:]) for name, each in found.items()}


def check(found: Mapping[str, Throughput]) -> None:
    """Whether all was answered.

    Raises:
        RuntimeError: it was not.
    """
    failed = {name: each.failed for name, each in found.items() if each.failed}
    if failed:
        raise RuntimeError(f"answers of another status than 200: {failed}")


def gradient(net: Net, data: np.ndarray) -> bytes:
    """The SDK's request for a gradient, as bytes of HTTP."""
    request = calls.build(net, "gradient", data, {}).request()
    return post(f"{net.path}/gradient", b"".join(request.body), **request.headers)


def echoed(net: Net, data: np.ndarray) -> bytes:
    """The body of that request, for an echo."""
    request = calls.build(net, "gradient", data, {}).request()
    return post("/echo", b"".join(request.body), **request.headers)
