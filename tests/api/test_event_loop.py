"""What is heavy leaves the event loop, or the process; what is small stays on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad.store.shelf import LocalShelf
from support.fake_compute import FakeCompute, fake_net
from support.formats import FORMATS, JSON, SAFETENSORS, request
from support.http import AppClient, serving

SHELF = (
    "begin", "has", "afford", "commit", "bind", "get", "find", "verify", "names", "is_shared",
    "declare", "page", "resolve", "share",
)  # fmt: skip
Threads = dict[str, threading.Thread]


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """In which thread each part of a request ran last."""
    seen: Threads = {}

    def watched(name: str, work: Any) -> Any:
        def run(*args: Any, **options: Any) -> Any:
            seen[name] = threading.current_thread()
            return work(*args, **options)

        return run

    for name in SHELF:
        monkeypatch.setattr(LocalShelf, name, watched(name, getattr(LocalShelf, name)))
    monkeypatch.setattr(LocalStore, "ready", watched("ready", LocalStore.ready))
    return seen


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def http(threads: Threads, compute: FakeCompute, tmp_path: Path) -> Iterator[AppClient]:
    with serving(create_app(LocalStore(tmp_path), compute, Settings())) as client:
        client.post("/nets?name=echo", content=fake_net())
        yield client


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("count", [1, 100_000])
def test_a_body_is_read_and_an_answer_written_by_a_worker(
    http: AppClient, compute: FakeCompute, fmt: str, count: int
) -> None:
    sent = request(fmt, {"input": np.ones(count, np.float32)})
    answer = http.post(
        "/nets/echo/gradient", headers=sent.pop("headers") | {"Accept": JSON}, **sent
    )
    assert answer.json()["gradients"]["input"] == [1] * count
    assert (compute.unread, compute.ready) == (1, 1)


@pytest.mark.parametrize("fmt", [SAFETENSORS, JSON])
def test_what_may_say_how_a_call_is_to_wait_is_read_here(
    http: AppClient, compute: FakeCompute, fmt: str
) -> None:
    sent = request(fmt, {"input": np.ones(1, np.float32)}, deadline=5)
    assert http.post("/nets/echo/gradient", **sent).status_code == 200
    assert compute.unread == 0


def test_a_deadline_that_is_written_with_escapes_is_read_here(
    http: AppClient, compute: FakeCompute
) -> None:
    body = b'{"data": [1], "dead\\u006cine": 0}'
    answer = http.post("/nets/echo/gradient", content=body, headers={"Content-Type": JSON})
    assert (answer.status_code, answer.json()["where"]) == (422, "deadline")
    assert compute.unread == 0


def test_the_store_is_never_called_on_the_loop(http: AppClient, threads: Threads) -> None:
    http.get("/nets")
    http.get("/readyz")
    http.post("/nets/echo/evaluate", json={"data": [1]})
    http.request("PUT", "/nets/echo/shared")
    http.post("/nets?batchable=true", content=fake_net())
    assert threads.keys() == {*SHELF, "ready"}
    assert threading.current_thread() not in threads.values()


@pytest.mark.parametrize("quick", [True, False])
def test_a_net_is_found_on_the_loop_where_no_disk_is_asked(
    http: AppClient, threads: Threads, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(LocalShelf, "quick", lambda *_: quick)
    assert http.post("/nets/echo/evaluate", json={"data": [1]}).status_code == 200
    assert (threads["find"] is threading.current_thread()) == quick


def test_why_a_net_is_not_found_is_said_by_a_thread(
    http: AppClient, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalShelf, "quick", lambda *_: True)
    answer = http.post("/nets/ecco/evaluate", json={"data": [1]})
    assert (answer.status_code, answer.json()["code"]) == (404, "net_not_found")
    assert "echo" in answer.json()["remedy"]
    assert threads["find"] is not threading.current_thread()
