"""What the call of a tiny net costs, against the version that ran nets in the HTTP process."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from portgrad.samples import linear
from portgrad_client import Client
from torture.plan import ROOT, Plan
from torture.report import Clock, Row
from torture.service import Service

BEFORE = "b113c30"  # the last commit before workers
ROUNDS, WARM, CALLS, LOST = 20, 2, 100, 0.3


def run(plan: Plan) -> Iterator[Row]:
    """One row: the difference of the medians of calls that were made in turn."""
    clock = Clock()
    folder = plan.place("tiny")
    if not _extracted(folder / "sources"):
        word = f"no history here that has {BEFORE}"
        yield Row("tiny: p50 lost to isolation", word, f"<= {LOST} ms", None)
        return
    services = {
        "before": Service(folder / "before", sources=folder / "sources"),
        "now": Service(folder / "now"),
    }
    with ExitStack() as stack:
        for service in services.values():
            stack.callback(service.stop)
            service.start()
        spent = _in_turn(services, max(20, int(plan.share(ROUNDS, of_minutes=1))))
    p50 = {name: float(np.percentile(each, 50)) for name, each in spent.items()}
    p99 = {name: float(np.percentile(each, 99)) for name, each in spent.items()}
    lost = p50["now"] - p50["before"]
    figure = f"{lost:+.3f} ms: {p50['before']:.3f}, now {p50['now']:.3f}; "
    figure += f"p99 {p99['before']:.2f}, now {p99['now']:.2f}"
    yield Row("tiny: p50 lost to isolation", figure, f"<= {LOST} ms", lost <= LOST, clock())


def _extracted(folder: Path) -> bool:
    """The sources of the version before, if there is a history."""
    command = ["git", "archive", BEFORE, "service", "clients/python/src"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        return False
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return True


def _in_turn(services: dict[str, Service], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, some of the one and some of the other by turns."""
    x = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
    nets = {name: Client(service.url).upload(linear()) for name, service in services.items()}
    spent: dict[str, list[float]] = {name: [] for name in nets}
    for turn in range(rounds + WARM):
        for name, net in nets.items():
            for _ in range(CALLS):
                start = time.perf_counter()
                net.gradient(x)
                if turn >= WARM:  # after what warms up
                    spent[name].append((time.perf_counter() - start) * 1e3)
    return spent
