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
from portgrad_client import Client, Net
from torture.plan import ROOT, Plan
from torture.report import Clock, Row
from torture.service import Service

BEFORE = "b113c30"  # the last commit before workers
# So many calls of the one, then of the other: ten find caches cold, a hundred as a loop has them.
TURNS, CALLS, WARM, LOST = (10, 100), 2000, 200, 0.3


def run(plan: Plan) -> Iterator[Row]:
    """A row for each length of turns: the difference of the medians of calls made in turn."""
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
        nets = {name: Client(each.url).upload(linear()) for name, each in services.items()}
        for turn in TURNS:
            yield _row(turn, _in_turn(nets, turn, int(plan.share(CALLS, of_minutes=1))), clock())


def _row(turn: int, spent: dict[str, list[float]], seconds: float) -> Row:
    p50 = {name: float(np.percentile(each, 50)) for name, each in spent.items()}
    p99 = {name: float(np.percentile(each, 99)) for name, each in spent.items()}
    lost = p50["now"] - p50["before"]
    figure = f"{lost:+.3f} ms: {p50['before']:.3f}, now {p50['now']:.3f}; "
    figure += f"p99 {p99['before']:.2f}, now {p99['now']:.2f}"
    name = f"tiny: p50 lost to isolation, by turns of {turn}"
    return Row(name, figure, f"<= {LOST} ms", lost <= LOST, seconds)


def _extracted(folder: Path) -> bool:
    """The sources of the version before, if there is a history."""
    command = ["git", "archive", BEFORE, "service", "clients/python/src"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        return False
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return True


def _in_turn(nets: dict[str, Net], turn: int, calls: int) -> dict[str, list[float]]:
    """Milliseconds of each call, some of the one and some of the other by turns."""
    x = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
    spent: dict[str, list[float]] = {name: [] for name in nets}
    while min(map(len, spent.values())) < calls + WARM:
        for name, net in nets.items():
            for _ in range(turn):
                start = time.perf_counter()
                net.gradient(x)
                spent[name].append((time.perf_counter() - start) * 1e3)
    return {name: each[WARM:] for name, each in spent.items()}  # without what warms up
