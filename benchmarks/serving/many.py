"""A service with many nets, of which some are hot, beside one with a single net."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.serving import nets
from benchmarks.serving.memory import private
from benchmarks.serving.program import Program
from benchmarks.serving.turns import Call
from portgrad_client import Client, Net

SIZES = (64, 256, 256, 10)


@dataclass(frozen=True)
class Filled:
    """What filling a service showed.

    Attributes:
        nets: all that it has.
        seconds: how long one upload and the first gradient of a net took, on average.
    """

    nets: list[Net]
    seconds: float


def fill(client: Client, count: int) -> Filled:
    """Upload so many nets that differ, and take a gradient of each."""
    x, held = point(), []
    start = time.perf_counter()
    for seed in range(count):
        held.append(client.upload(nets.dense(SIZES, seed)))
        held[-1].gradient(x)
    return Filled(held, (time.perf_counter() - start) / count)


def round_robin(held: list[Net]) -> Call:
    """A gradient of each net in turn."""
    x, turn = point(), itertools.cycle(held)
    return lambda: next(turn).gradient(x)


def point() -> np.ndarray:
    """One example for these nets."""
    return np.random.default_rng(0).standard_normal((1, SIZES[0])).astype(np.float32)


def largest(program: Program) -> int:
    """The most bytes that one process beside that which answers requests holds alone."""
    return max(map(private, program.others()))
