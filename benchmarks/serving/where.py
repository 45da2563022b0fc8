"""Where the time of a call goes: seconds of the processor by process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.serving.program import Program
from benchmarks.serving.turns import Call


@dataclass(frozen=True)
class Spent:
    """Milliseconds of the processor that one call takes, on average.

    Attributes:
        client: in the process that asks.
        http: in the one that answers.
        workers: in its children.
        wall: on the clock.
    """

    client: float
    http: float
    workers: float
    wall: float

    @property
    def cpu(self) -> float:
        """Of all processes."""
        return self.client + self.http + self.workers

    def __str__(self) -> str:
        parts = f"client {self.client:.2f}, HTTP process {self.http:.2f}, "
        return f"{parts}workers {self.workers:.2f}; on the clock {self.wall:.2f}"


def spent(call: Call, program: Program, count: int) -> Spent:
    """What some calls take. The kernel counts in hundredths: they should take a second."""
    call()
    http, others = program.cpu()
    start, own = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    wall, client = time.perf_counter() - start, time.process_time() - own
    http_now, others_now = program.cpu()
    each = 1e3 / count
    return Spent(client * each, (http_now - http) * each, (others_now - others) * each, wall * each)
