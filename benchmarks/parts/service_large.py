"""The sum of the squares of 25 million floats, and its gradient, which is as large, by the SDK.

The net keeps no values of its own between, so that the memory is the service's. It is the most
that all its processes held together above what they hold at rest, pages that they share counted
once. The goal is the body and two arrays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.serving import nets
from benchmarks.serving.calls import Servers, servers
from benchmarks.serving.memory import watched
from benchmarks.serving.told import MEMORY, duration, over_echoes, where
from benchmarks.serving.turns import by_turns
from portgrad_client import Net

TABLE = "A hundred megabytes each way"
LARGE = "sum of squares, 25M floats"
FLOATS = 25_000_000


def rows(given: Given) -> Iterator[Row]:
    """The time, its ratio to the echo's, and the memory of the service."""
    x = np.random.default_rng(0).standard_normal(FLOATS).astype(np.float32)
    with TemporaryDirectory() as folder, servers(Path(folder)) as those:
        net = those.client.upload(nets.squares())
        _check(net, x)
        calls = those.calls(net, x)
        times = by_turns(calls, 1, given.rounds)
        yield duration(TABLE, LARGE, times["gradient"], None, where(those, calls, 3))
        yield from over_echoes(TABLE, LARGE, times, 3.0)
        yield _memory(those, net, x)


def _memory(those: Servers, net: Net, x: np.ndarray) -> Row:
    """What the service's processes hold together at most, above what they hold at rest."""
    with watched(those.service) as watch:
        net.gradient(x[:16])
        time.sleep(3)  # what the calls before left is given back
        watch.most()
        time.sleep(0.5)
        rest = watch.most()
        peaks = []
        for _ in range(3):
            net.gradient(x)
            peaks.append((watch.most() - rest) / 1e6)
    note = f"the goal is the body and two arrays; at rest {rest / 1e6:.0f} MB"
    goal = 3 * x.nbytes / 1e6
    return Row(TABLE, LARGE, max(peaks), goal, "MB", column=MEMORY, note=note, raw=tuple(peaks))


def _check(net: Net, x: np.ndarray) -> None:
    if not np.array_equal(net.gradient(x)["Input"], 2 * x):
        raise AssertionError("the gradient of the sum of squares is not twice the point")
