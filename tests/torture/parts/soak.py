"""Half an hour of everything at once: memory stays, files are closed, calls do not get slower."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from torture.crowd import Crowd, crowd
from torture.memory import MIB, Usage, settled
from torture.mixed import Mixed
from torture.plan import Plan
from torture.report import Clock, Row
from torture.service import Service, serving

FULL, WARM_SHARE, CLIENTS = 1800, 0.25, 3
DRIFT = 0.05


def run(plan: Plan) -> Iterator[Row]:
    """Rows for answers, honest clients, memory by process, files and times."""
    clock = Clock()
    folder, seconds = plan.place("soak"), plan.seconds(FULL)
    with serving(folder, threads=1, deadline=20) as service:
        with crowd(service.url, folder / "warm.jsonl", how="both", pause=0.2) as honest:
            honest.during(3)
        time.sleep(2)
        idle = service.usage()
        with crowd(service.url, folder / "honest.jsonl", how="both", pause=0.2) as honest:
            start = time.time()
            clients, samples = _under_load(service, seconds, plan.seed)
            yield _slower(honest, start, seconds, clock())
        after = settled(service.usage, lambda now: now.http_files <= idle.http_files, 60)
        yield _answered(clients, service, clock())
        window = honest.everything()
        figure = f"{len(window.failed)} of {len(window.calls)} failed {window.ends()}".strip()
        yield Row("soak: honest calls", figure, "0", not window.failed, clock())
    yield _drift("HTTP process", [sample.http for sample in samples], clock())
    yield _drift("workers", [sample.others for sample in samples], clock())
    figure = f"{idle.http_files}, then {after.http_files}"
    ok = after.http_files <= idle.http_files
    yield Row("soak: open files of the HTTP process", figure, "no more", ok, clock())


def _under_load(service: Service, seconds: float, seed: int) -> tuple[list[Mixed], list[Usage]]:
    """The clients, when they have ended, and what was held every few seconds."""
    over, samples = threading.Event(), []
    clients = [Mixed(service.url, seed + number) for number in range(CLIENTS)]
    threads = [threading.Thread(target=client.run, args=(over, 0.1)) for client in clients]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(max(0.2, seconds / 600))
        samples.append(service.usage())
    over.set()
    for thread in threads:
        thread.join()
    return clients, samples


def _answered(clients: list[Mixed], service: Service, seconds: float) -> Row:
    """Whether each request of the mixed clients was answered as it should be."""
    wrong = [line for client in clients for line in client.wrong]
    for line in wrong[:20]:
        print(line)
    counts = sum((client.answers for client in clients), Counter[str]())
    errors = service.told().count("Traceback")
    figure = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
    figure += f"; {len(wrong)} wrong, {errors} tracebacks"
    ok = service.alive and not wrong and not errors
    return Row("soak: mixed requests", figure, "as they should be", ok, seconds)


def _drift(what: str, held: Sequence[int], seconds: float) -> Row:
    """The median of the last quarter after warming up, against that of the first."""
    warm = held[int(len(held) * WARM_SHARE) :]
    quarter = max(1, len(warm) // 4)
    first, last = np.median(warm[:quarter]), np.median(warm[-quarter:])
    change = float(last / first - 1) if first else 0.0
    figure = f"{change:+.1%}: {first / MIB:.0f}, then {last / MIB:.0f} MiB"
    goal = f"under {DRIFT:.0%}"
    return Row(f"soak: memory of the {what}", figure, goal, change < DRIFT, seconds)


def _slower(honest: Crowd, start: float, seconds: float, spent: float) -> Row:
    """The 99th percentile of honest calls by tenths of the time."""
    tenth = seconds / 10
    p99 = [
        honest.between(start + k * tenth, start + (k + 1) * tenth).percentile(99) * 1e3
        for k in range(10)
    ]
    first, last = float(np.median(p99[1:5])), float(np.median(p99[-4:]))
    figure = ", ".join(f"{each:.0f}" for each in p99) + " ms by tenths of the time"
    goal = "last four under twice the first"
    return Row("soak: honest p99", figure, goal, last < 2 * first, spent)
