"""What all requests together may be, and how slowly a body may come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from portgrad.api.admission import Admission, Held
from portgrad.api.app import create_app
from portgrad.errors import Busy
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.formats import JSON, NPZ, request
from support.http import AppClient, serving

HELD = 10_000


class Waiting(FakeCompute):
    """Keeps calls until told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.waiting = 0

    async def call(self, job: Any) -> Any:
        self.waiting += 1
        await self.go.wait()
        return await super().call(job)


@pytest.fixture
def compute() -> Waiting:
    return Waiting()


@pytest.fixture
def http(compute: Waiting, tmp_path: Path) -> Iterator[AppClient]:
    settings = Settings(
        max_requests=3,
        max_held_bytes=HELD,
        max_body_bytes=1_000_000,
        body_seconds=0.2,
        body_bytes_per_second=10_000,
    )
    with serving(create_app(LocalStore(tmp_path), compute, settings)) as client:
        client.post("/nets?name=echo", content=fake_net())
        yield client


async def call(http: AppClient, content: Any = b'{"data": [1]}', fmt: str = JSON) -> httpx.Response:
    headers = {"Content-Type": fmt}
    return await http._http.post("/nets/echo/evaluate", content=content, headers=headers)


async def waiting(http: AppClient, compute: Waiting, *bodies: Any) -> list[asyncio.Task[Any]]:
    """Calls that have been read, and now wait for their compute."""
    tasks = [asyncio.create_task(call(http, body)) for body in bodies]
    while compute.waiting < len(bodies):
        await asyncio.sleep(0.001)
    return tasks


def told(answer: httpx.Response) -> tuple[int, str, str | None]:
    return answer.status_code, answer.json()["code"], answer.headers.get("retry-after")


def test_more_requests_than_may_be(http: AppClient, compute: Waiting) -> None:
    async def run() -> None:
        tasks = await waiting(http, compute, *[b'{"data": [1]}'] * 3)
        assert told(await http._http.get("/nets")) == (503, "busy", "1")
        assert "x-request-id" in (await http._http.get("/nets")).headers
        assert (await http._http.get("/healthz")).status_code == 200
        compute.go.set()
        assert [(await task).status_code for task in tasks] == [200] * 3
        assert (await http._http.get("/nets")).status_code == 200

    http.run(run())


def padded(size: int) -> bytes:
    return b'{"data": [1]' + b" " * (size - 13) + b"}"


async def pieces(body: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1_000):
        yield body[start : start + 1_000]
        await asyncio.sleep(pause)


def test_more_bytes_than_may_be_held(http: AppClient, compute: Waiting) -> None:
    async def run() -> None:
        tasks = await waiting(http, compute, padded(6_000))
        never = pieces(b"")
        read: list[bytes] = []

        async def watched() -> AsyncIterator[bytes]:
            async for piece in pieces(padded(5_000)):
                read.append(piece)
                yield piece

        headers = {"Content-Type": JSON, "Content-Length": "5000"}
        answer = await http._http.post("/nets/echo/evaluate", content=never, headers=headers)
        assert told(answer) == (503, "busy", "1")
        assert told(await call(http, watched())) == (503, "busy", "1")
        assert len(read) == 5  # as far as 10,000 bytes reach
        compute.go.set()
        assert (await tasks[0]).status_code == 200
        assert (await call(http, padded(5_000))).status_code == 200
        assert http.app.state.service.admission.held == 0

    http.run(run())


def test_what_an_npz_unfolds_to_is_held_too(http: AppClient, compute: Waiting) -> None:
    async def run() -> None:
        tasks = await waiting(http, compute, padded(HELD - 2_000))
        sent = request(NPZ, {"input": np.zeros(400, np.float32)})
        assert len(sent["content"]) <= 2_000
        assert told(await call(http, sent["content"], NPZ)) == (503, "busy", "1")
        compute.go.set()
        await tasks[0]
        assert (await call(http, sent["content"], NPZ)).status_code == 200

    http.run(run())


def test_a_body_that_is_larger_than_all_may_be_is_taken_alone(
    http: AppClient, compute: Waiting
) -> None:
    compute.go.set()
    assert http.run(call(http, padded(2 * HELD))).status_code == 200


def test_a_slow_body(http: AppClient, compute: Waiting) -> None:
    compute.go.set()

    async def silent() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    answer = http.run(call(http, silent()))
    assert told(answer)[:2] == (408, "body_too_slow")
    assert answer.headers["connection"] == "close"

    async def fast_then_slow() -> AsyncIterator[bytes]:
        yield padded(100_000)[:-1]  # ten seconds' worth, of which none are saved up
        while True:
            await asyncio.sleep(0.1)
            yield b" "

    start = time.monotonic()
    assert told(http.run(call(http, fast_then_slow())))[1] == "body_too_slow"
    assert time.monotonic() - start < 5
    # 10,000 bytes a second after 0.2 seconds: half as fast is too slow, twice as fast is not.
    assert told(http.run(call(http, pieces(padded(20_000), 0.2))))[1] == "body_too_slow"
    assert http.run(call(http, pieces(padded(20_000), 0.05))).status_code == 200


def test_uploads_are_timed_but_not_held(http: AppClient) -> None:
    net = fake_net(note="x" * 3 * HELD)
    assert http.post("/nets", content=pieces(net)).status_code == 201

    async def silent() -> AsyncIterator[bytes]:
        yield net[:1000]
        await asyncio.sleep(60)

    assert told(http.post("/nets", content=silent()))[:2] == (408, "body_too_slow")


def test_a_refused_call_holds_nothing(http: AppClient, compute: Waiting) -> None:
    compute.go.set()
    http.run(call(http, b"{" * 1000))
    http.run(call(http, padded(1_000_001)))
    assert http.app.state.service.admission.held == 0
    assert http.app.state.service.admission.requests == 0


def test_one_owner_holds_half_of_all_and_each_request_has_its_share() -> None:
    admission = Admission(Settings(auth="required", max_held_bytes=HELD, max_requests=10))
    held = {name: Held(admission) for name in ("first", "second", "small", "other")}
    for name, one in held.items():
        one.owner = "bob" if name == "other" else "ann"
    held["first"].grow(4_000)
    with pytest.raises(Busy):
        held["second"].grow(2_000)
    held["small"].grow(1_000)
    with pytest.raises(Busy):
        held["small"].grow(1)
    held["other"].grow(5_000)
    held["second"].grow(1_000)  # though all that may be held is held by now
    for one in held.values():
        one.release()
    assert admission.held == 0
    held["second"].grow(HELD)


def test_a_body_that_came_fast_may_not_stop_either(http: AppClient, compute: Waiting) -> None:
    compute.go.set()

    async def stops() -> AsyncIterator[bytes]:
        yield padded(50_000)[:-1]
        await asyncio.sleep(60)

    assert told(http.run(call(http, stops())))[:2] == (408, "body_too_slow")
