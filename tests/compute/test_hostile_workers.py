"""Workers that were taken over by what they ran: they harm their own job, and nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from portgrad.compute import links
from portgrad.compute.jobs import Job
from portgrad.compute.pool import WorkerCompute
from portgrad.errors import Quarantined, RunFailed
from portgrad.graph.files import NetFiles
from support.computing import computing
from support.descriptors import open_descriptors
from support.hostile_worker import FATAL, HARMLESS
from support.pool_rig import until

PROGRAM = "support.hostile_worker"


@pytest.fixture(scope="module")
def pool() -> Iterator[tuple[asyncio.Runner, WorkerCompute]]:
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setattr(links, "_PROGRAM", PROGRAM)
        compute = computing(pool={"deadline": 10.0})
        runner.run(compute.start())
        runner.run(compute.call(job("is honest")))
        yield runner, compute
        runner.run(compute.close())


def job(behaviour: str) -> Job:
    return Job("evaluate", behaviour, NetFiles(Path("none")), behaviour)


@pytest.mark.parametrize("behaviour", FATAL)
def test_what_is_no_answer(pool: tuple[asyncio.Runner, WorkerCompute], behaviour: str) -> None:
    """Counts as a crash: tried once more, then told, then the net is quarantined."""
    runner, compute = pool

    async def run() -> None:
        before, descriptors = compute.stats().deaths["crashed"], open_descriptors()
        start = time.monotonic()
        with pytest.raises(RunFailed) as caught:
            await compute.call(job(behaviour))
        assert caught.value.code == "worker_crashed"
        assert time.monotonic() - start < 3
        assert compute.stats().deaths["crashed"] == before + 2
        await compute.call(job("is honest"))
        assert open_descriptors() == descriptors

    runner.run(run())


@pytest.mark.parametrize("behaviour", HARMLESS)
def test_what_does_no_harm(pool: tuple[asyncio.Runner, WorkerCompute], behaviour: str) -> None:
    runner, compute = pool

    async def run() -> None:
        before = compute.stats().started
        await compute.call(job(behaviour))
        await compute.call(job("is honest"))
        assert compute.stats().started == before

    runner.run(run())


def test_who_answers_twice_is_replaced(pool: tuple[asyncio.Runner, WorkerCompute]) -> None:
    runner, compute = pool

    async def run() -> None:
        before = compute.stats()
        await compute.call(job("answers twice"))
        await until(lambda: compute.stats().started == before.started + 1)
        await compute.call(job("is honest"))
        assert compute.stats().deaths["crashed"] == before.deaths["crashed"] + 1

    runner.run(run())


def test_who_goes_on_is_quarantined(pool: tuple[asyncio.Runner, WorkerCompute]) -> None:
    runner, compute = pool

    async def run() -> None:
        with pytest.raises(RunFailed):
            await compute.call(job("garbage"))
        with pytest.raises(Quarantined):
            await compute.call(job("garbage"))

    runner.run(run())


@pytest.mark.parametrize("end", ["the pool closes", "the nursery is killed"])
def test_nobody_escapes(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_PROGRAM", PROGRAM)

    async def run() -> None:
        compute = computing()
        await compute.call(job("escapes"))
        (worker,) = compute.stats().workers
        nursery = compute.stats().others["nursery"]
        assert len(psutil.Process(nursery).children(recursive=True)) == 1
        process = psutil.Process(worker.pid)
        if end == "the nursery is killed":
            psutil.Process(nursery).kill()
            await until(lambda: not _lives(process))
            await compute.call(job("is honest"))
        await compute.close()
        await until(lambda: not _lives(process))

    asyncio.run(run())


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
