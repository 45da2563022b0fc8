"""What /readyz tells: each part, at once, and without wearing out the disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from portgrad.api.app import create_app
from portgrad.api.telling import readiness
from portgrad.compute.stats import PoolStats, WorkerStats
from portgrad.errors import StoreFailed
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.http import serving

READY = {"status": "ready", "store": "ok", "workers": "ok", "draining": False}


class Store(LocalStore):
    """Counts how often it is looked at, and fails where it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.looks = 0
        self.failing: set[str] = set()
        self.hang: threading.Event | None = None

    def ready(self) -> None:
        self.looks += 1
        if self.hang is not None:
            self.hang.wait()
        self._fail("ready")
        super().ready()

    def writable(self) -> None:
        self._fail("writable")
        super().writable()

    def _fail(self, method: str) -> None:
        if method in self.failing:
            raise StoreFailed("It is gone.")


def asked(data: Path, change: Callable[[Store, FakeCompute, Any], object]) -> httpx.Response:
    store, compute = Store(data), FakeCompute()
    with serving(create_app(store, compute, Settings())) as http:
        change(store, compute, http.app.state.service)
        return http.get("/readyz")


def starting(_: Store, compute: FakeCompute, __: Any) -> None:
    compute.pool = PoolStats((WorkerStats("worker-1", 1, "starting"),), wanted=1)


def dead(_: Store, compute: FakeCompute, __: Any) -> None:
    compute.pool = PoolStats(wanted=1)


def drain(_: Store, __: FakeCompute, service: Any) -> None:
    service.teller.draining = True


NOT_READY = [
    (lambda store, *_: store.failing.add("ready"), "store: unavailable, workers: ok, draining: no"),
    (starting, "store: ok, workers: none, draining: no"),
    (dead, "store: ok, workers: none, draining: no"),
    (drain, "store: ok, workers: ok, draining: yes"),
]


@pytest.mark.parametrize(("change", "found"), NOT_READY)
def test_what_is_not_ready(tmp_path: Path, change: Any, found: str) -> None:
    answer = asked(tmp_path, change)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (answer.json()["code"], answer.json()["found"]) == ("not_ready", found)


def test_a_busy_worker_is_ready(tmp_path: Path) -> None:
    def busy(_: Store, compute: FakeCompute, __: Any) -> None:
        compute.pool = PoolStats((WorkerStats("worker-1", 1, "busy"),), wanted=1)

    assert asked(tmp_path, busy).json() == READY


def test_a_store_that_can_only_be_read_is_ready_for_calls(tmp_path: Path) -> None:
    answer = asked(tmp_path, lambda store, *_: store.failing.add("writable"))
    assert (answer.status_code, answer.json()) == (200, READY | {"store": "read_only"})


def test_a_thousand_probes_look_at_the_disk_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with serving(create_app(store, FakeCompute(), Settings())) as http:
        check = http.app.state.service.readiness.check
        statuses = {http.get("/readyz").status_code for _ in range(20)}
        http.run(_many(check, 1000))
    assert statuses == {200}
    assert store.looks == 1


async def _many(check: Any, number: int) -> None:
    await asyncio.gather(*(check() for _ in range(number)))


def test_what_changes_is_seen_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_FRESH", 0.0)
    store = Store(tmp_path)
    with serving(create_app(store, FakeCompute(), Settings())) as http:
        assert http.get("/readyz").status_code == 200
        store.failing.add("ready")
        assert http.get("/readyz").status_code == 503
        store.failing.clear()
        assert http.get("/readyz").status_code == 200


def test_a_disk_that_hangs_makes_nobody_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_PATIENCE", 0.05)
    store = Store(tmp_path)
    with serving(create_app(store, FakeCompute(), Settings())) as http:
        store.hang = threading.Event()
        answers = [http.get("/readyz") for _ in range(3)]
        alive = http.get("/healthz")
        store.hang.set()
    assert [answer.json()["found"].split(",")[0] for answer in answers] == ["store: no_answer"] * 3
    assert alive.json() == {"status": "ok"}
    assert store.looks == 1


def test_connections_are_not_kept_while_draining(tmp_path: Path) -> None:
    with serving(create_app(LocalStore(tmp_path), FakeCompute(), Settings())) as http:
        assert "connection" not in http.get("/nets").headers
        http.app.state.service.teller.draining = True
        answer = http.post("/nets?name=late", content=fake_net())
        assert (answer.status_code, answer.headers["connection"]) == (201, "close")
        assert http.post("/nets/late/gradient", json={"data": [1]}).status_code == 200
