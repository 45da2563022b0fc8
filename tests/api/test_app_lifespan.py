"""The application closes what it was given, and serves others while one request computes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from portgrad.api.app import create_app
from portgrad.codecs.model import Answer
from portgrad.compute.jobs import Job
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.http import serving


def test_compute_is_closed_at_the_end(tmp_path: Path) -> None:
    compute = FakeCompute()
    with serving(create_app(LocalStore(tmp_path), compute, Settings())):
        assert not compute.closed
    assert compute.closed


class Waiting(FakeCompute):
    """Answers only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def call(self, job: Job) -> Answer:
        self.asked.set()
        await self.go.wait()
        return await super().call(job)


async def _probe_during_a_call(data: Path) -> tuple[int, int]:
    compute = Waiting()
    app = create_app(LocalStore(data), compute, Settings())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        await http.post("/nets?name=echo", content=fake_net())
        call = asyncio.create_task(http.post("/nets/echo/gradient", json={"data": [1]}))
        await compute.asked.wait()
        probe = await http.get("/healthz")
        assert not call.done()
        compute.go.set()
        return probe.status_code, (await call).status_code


def test_healthz_answers_while_a_net_runs(tmp_path: Path) -> None:
    assert asyncio.run(_probe_during_a_call(tmp_path)) == (200, 200)
