"""`kill -9` of a worker every second under load: honest clients get right answers all the same.

Plain HTTP clients may see `worker_died`, which is retryable, where two workers died under one call.
Clients of the library see nothing at all.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

import psutil

from torture.crowd import Crowd, Window, crowd
from torture.plan import Plan
from torture.report import Clock, Row
from torture.service import Service, serving

RETRYABLE = "503 worker_died"


def run(plan: Plan) -> Iterator[Row]:
    """Rows for each kind of client, for the killing, and for the service after it."""
    clock = Clock()
    folder = plan.place("kills")
    with (
        serving(folder, threads=1) as service,
        crowd(service.url, folder / "raw.jsonl", how="raw", pause=0.03) as raw,
        crowd(service.url, folder / "sdk.jsonl", how="sdk", pause=0.03) as sdk,
    ):
        killed = _kill(service, plan.seconds(300), random.Random(plan.seed))
        yield Row(
            "kills: workers killed", f"{killed} in {clock():.0f} s", "one each second",
            killed >= 0.8 * plan.seconds(300), clock(),
        )  # fmt: skip
        time.sleep(2)
        yield _after(service, raw, clock)
    yield _raw(raw.everything(), clock())
    yield _sdk(sdk.everything(), clock())


def _kill(service: Service, seconds: float, chance: random.Random) -> int:
    """How many workers were killed, one each second."""
    start, killed = time.monotonic(), 0
    while time.monotonic() < start + seconds:
        workers = service.workers()
        if workers:
            try:
                chance.choice(workers).kill()
                killed += 1
            except psutil.NoSuchProcess:
                continue
        time.sleep(1)
    return killed


def _after(service: Service, honest: Crowd, clock: Clock) -> Row:
    """Once the killing is over: workers are there, and calls are right again."""
    window = honest.during(3)
    workers = len(service.workers())
    figure = f"{workers} workers, {len(window.failed)} of {len(window.calls)} calls failed"
    ok = service.alive and workers > 0 and not window.failed and bool(window.calls)
    return Row("kills: the service after them", figure, "workers, 0 failed", ok, clock())


def _raw(window: Window, seconds: float) -> Row:
    ends = Counter(call.end for call in window.calls)
    wrong = {end for end in ends if end not in {"right", RETRYABLE}}
    about = next((f"; {c.about[:200]}" for c in window.calls if c.end in wrong), "")
    figure = ", ".join(f"{count} {end}" for end, count in ends.most_common()) + about
    goal = f"right, or {RETRYABLE}"
    return Row("kills: plain HTTP clients", figure, goal, not wrong and bool(ends), seconds)


def _sdk(window: Window, seconds: float) -> Row:
    figure = f"{len(window.failed)} of {len(window.calls)} failed; "
    figure += f"p99 {window.percentile(99) * 1e3:.0f} ms {window.ends()}"
    ok = bool(window.calls) and not window.failed
    return Row("kills: clients of the library", figure, "0 failed", ok, seconds)
