"""Ten thousand mutants through upload, description and gradient, while honest clients ask."""

from __future__ import annotations

import importlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx

from torture.crowd import Window, crowd
from torture.memory import Usage, settled
from torture.plan import Plan
from torture.plausible import plausible
from torture.report import Clock, Row
from torture.service import Service, serving
from torture.watch import Watch

MIB = 1024 * 1024
WORKERS = 2
FEWEST = 2 + WORKERS  # processes: HTTP, nursery, workers; spare ones go after half a minute
# Warm with so many that workers keep as many nets as they may: others come in their places.
COUNT, WARM, AT_ONCE = 10_000, 1500, 4
SETTINGS = {
    "threads": 1,
    "workers": WORKERS,
    "deadline": 5,
    "compile_seconds": 10,
    "worker_memory_bytes": 1024 * MIB,
}


class Campaign:
    """Mutants from a seed on, several at a time."""

    def __init__(self, url: str, first: int) -> None:
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.done = 0
        self._url, self._seeds, self._lock = url, count(first), threading.Lock()

    def run(self, number: int, seconds: float) -> None:
        """So many more, or as many as there is time for."""
        until, goal = time.monotonic() + seconds, self.done + number
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda _: self._some(until, goal), range(AT_ONCE)))

    def _some(self, until: float, goal: int) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as http:
            while True:
                with self._lock:
                    if self.done >= goal or time.monotonic() > until:
                        return
                    self.done += 1
                    seed = next(self._seeds)
                self._one(http, seed)

    def _one(self, http: httpx.Client, seed: int) -> None:
        model, external, done = importlib.import_module("torture.mutations").mutated(seed)
        try:
            self._asked(http, seed, model, external, done)
        except httpx.HTTPError as error:
            with self._lock:
                self.answers[type(error).__name__] += 1
                self.wrong.append(f"seed {seed}: {error!r} ({done})")

    def _asked(
        self, http: httpx.Client, seed: int, model: bytes, external: dict[str, bytes], done: str
    ) -> None:
        if external:
            parts = [("external", (place, data)) for place, data in external.items()]
            got = http.post("/nets", files=[("model", ("model", model)), *parts])
        else:
            got = http.post("/nets", content=model)
        self._count("upload", seed, got, done)
        if not got.is_success:
            return
        path = f"/nets/{got.json()['id']}"
        described = http.get(path)
        self._count("describe", seed, described, done)
        if described.is_success:
            body = {"data": plausible(described.json()), "outputs": True}
            self._count("gradient", seed, http.post(f"{path}/gradient", json=body), done)
        http.delete(path)

    def _count(self, stage: str, seed: int, got: httpx.Response, done: str) -> None:
        code = "" if got.is_success else f" {got.json()['code']}"
        with self._lock:
            self.answers[f"{stage} {got.status_code}{code}"] += 1
            if got.status_code == 500:
                self.wrong.append(f"seed {seed}: {stage} 500 ({done})")


def run(plan: Plan) -> Iterator[Row]:
    """Rows for the answers, honest clients, memory and files."""
    clock = Clock()
    folder = plan.place("mutants")
    with serving(folder, **SETTINGS) as service, Watch(service) as watch:
        campaign = Campaign(service.url, plan.seed)
        with crowd(service.url, folder / "warm.jsonl", clients=1):
            campaign.run(WARM, plan.seconds(120) / 2)
        before = _rested(service)
        with crowd(service.url, folder / "honest.jsonl", clients=1) as honest:
            campaign.run(COUNT - campaign.done, plan.seconds(3600))
        after = _rested(service, before)
        yield from _answers(campaign, service, clock())
        yield Row("mutants: workers that ended", str(watch.ended), "told", True, clock())
        yield _unharmed(honest.everything(), clock())
        yield from _held(before, after, clock())


def _rested(service: Service, before: Usage | None = None) -> Usage:
    """What is held when nothing runs: caches stay, what a call needs does not."""
    if before is None:
        return settled(service.usage, lambda now: now.processes <= FEWEST, 45)
    return settled(service.usage, lambda now: not _more(before, now), 60)


def _more(before: Usage, now: Usage) -> bool:
    return now.all > 1.1 * before.all or now.http_files > before.http_files


def _answers(campaign: Campaign, service: Service, seconds: float) -> Iterator[Row]:
    for line in campaign.wrong[:20]:
        print(line)
    counts = campaign.answers
    by_status = Counter[str]()
    for answer, number in counts.items():
        by_status[" ".join(answer.split()[:2])] += number
    figure = f"{campaign.done}: " + ", ".join(f"{n} {a}" for a, n in by_status.most_common())
    for answer, number in counts.most_common():
        print(f"  {number:6} {answer}")
    alive = service.alive and service.told().count("Traceback") == 0
    yield Row("mutants: answers", figure, "no 500, none lost", not campaign.wrong, seconds)
    figure = "alive" if service.alive else "dead"
    figure += f", {service.told().count('Traceback')} tracebacks in its log"
    yield Row("mutants: the HTTP process", figure, "alive, 0", alive, seconds)


def _unharmed(window: Window, seconds: float) -> Row:
    figure = f"{len(window.failed)} of {len(window.calls)} failed {window.ends()}".strip()
    ok = bool(window.calls) and not window.failed
    return Row("mutants: honest calls meanwhile", figure, "0", ok, seconds)


def _held(before: Usage, after: Usage, seconds: float) -> Iterator[Row]:
    change = after.all / before.all - 1
    figure = f"{change:+.1%}: {before}; then {after}"
    yield Row("mutants: memory after them", figure, "within +10 %", change <= 0.1, seconds)
    figure = f"{before.http_files}, then {after.http_files}"
    ok = after.http_files <= before.http_files
    yield Row("mutants: open files of the HTTP process", figure, "no more", ok, seconds)
