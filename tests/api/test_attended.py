"""A client that leaves: what was done for it ends, and nothing is answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from portgrad.api import attended
from portgrad.api.app import create_app
from portgrad.codecs.model import Answer, Description
from portgrad.compute.jobs import Export, Inspection, Job
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net

SOON = 0.05


class Slow(FakeCompute):
    """Works until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.begun = self.cancelled = 0

    async def _work(self) -> None:
        self.begun += 1
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def call(self, job: Job) -> Answer:
        await self._work()
        return await super().call(job)

    async def export(self, job: Export, path: Path) -> list[Path]:
        await self._work()
        return await super().export(job, path)

    async def inspect(self, job: Inspection) -> Description:
        await self._work()
        return await super().inspect(job)


class Request:
    """One request of a client who may leave, over ASGI."""

    def __init__(self, app: FastAPI, method: str, target: str, body: bytes = b"") -> None:
        path, _, query = target.partition("?")
        kind = b"application/json" if body[:1] == b"{" and method == "POST" and query == "" else b""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost"), *([(b"content-type", kind)] if kind else [])],
            "client": ("127.0.0.1", 5),
            "server": ("localhost", 80),
        }
        self.sent: list[Message] = []
        self._coming: asyncio.Queue[Message] = asyncio.Queue()
        self._coming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.task = asyncio.create_task(app(scope, self._coming.get, self._take))

    async def _take(self, message: Message) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        self._coming.put_nowait({"type": "http.disconnect"})

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[FastAPI, Slow, str]]:
    """An application with one net, whose compute waits."""
    compute = Slow()
    compute.go_on.set()
    app = create_app(LocalStore(folder), compute, Settings())
    async with app.router.lifespan_context(app):
        upload = Request(app, "POST", "/nets?name=echo", fake_net())
        await upload.task
        assert upload.status == 201
        compute.go_on.clear()
        compute.begun = 0
        yield app, compute, "echo"


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


@pytest.fixture(autouse=True)
def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attended, "_SOON", SOON)


CALL = json.dumps({"data": {"input": [1.0]}}).encode()
REQUESTS = {
    "a call": ("POST", "/nets/echo/gradient", CALL),
    "a file": ("GET", "/nets/echo/gradient.onnx", b""),
    "an upload": ("POST", "/nets?name=other", fake_net(note="other")),
}


async def _begun(compute: Slow) -> None:
    while not compute.begun:
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.parametrize("after", [0.0, 3 * SOON])
def test_who_leaves_has_nothing_done(
    what: str, after: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        async with running(tmp_path) as (app, compute, _):
            request = Request(app, *REQUESTS[what])
            await _begun(compute)
            await asyncio.sleep(after)
            request.leave()
            await request.task
            assert compute.cancelled == 1
            assert request.sent == []
            # The service goes on.
            compute.go_on.set()
            again = Request(app, *REQUESTS[what])
            await again.task
            assert again.status in {200, 201}

    run(work())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("what", REQUESTS)
def test_who_stays_is_answered(what: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as (app, compute, _):
            request = Request(app, *REQUESTS[what])
            await _begun(compute)
            await asyncio.sleep(2 * SOON)
            compute.go_on.set()
            await request.task
            assert request.status in {200, 201}
            assert compute.cancelled == 0

    run(work())


def test_who_leaves_as_the_answer_comes(tmp_path: Path) -> None:
    """Answered or not: whatever wins, the task ends as it should."""

    async def work() -> None:
        async with running(tmp_path) as (app, compute, _):
            for turns in range(8):
                compute.go_on.clear()
                compute.begun = 0
                request = Request(app, *REQUESTS["a call"])
                await _begun(compute)
                await asyncio.sleep(1.5 * SOON)
                compute.go_on.set()
                for _ in range(turns):
                    await asyncio.sleep(0)
                request.leave()
                await request.task
                assert request.status in {None, 200}

    run(work())


def test_a_server_that_stops_is_not_taken_for_a_client_that_leaves(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path) as (app, compute, _):
            request = Request(app, *REQUESTS["a call"])
            await _begun(compute)
            request.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request.task
            assert compute.cancelled == 1

    run(work())
