"""Deadlines of jobs in real workers, and clients that leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from portgrad.compute.jobs import Inspection, Job
from portgrad.errors import (
    Busy,
    DeadlineExceeded,
)
from support import hard_nets
from support.computing import computing
from support.hard_nets import stored
from support.pool_rig import Rig, rigged, until


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rigged(tmp_path_factory.mktemp("nets"), compile_seconds=5) as rig:
        yield rig


def test_a_run_is_stopped_at_its_deadline_and_its_worker_lives_on(rig: Rig) -> None:
    async def run() -> None:
        before = rig.compute.stats()
        job = rig.job(hard_nets.ENDLESS, [1.0, 2.0], seconds=0.5)
        assert 0.5 <= await rig.fails(job, DeadlineExceeded, "deadline_exceeded") < 1.0
        after = rig.compute.stats()
        assert (after.stopped, after.killed) == (before.stopped + 1, before.killed)
        assert {w.pid for w in after.workers} == {w.pid for w in before.workers}
        await rig.works()

    rig.run(run())


def test_what_does_not_stop_is_killed(rig: Rig) -> None:
    async def run() -> None:
        before = rig.compute.stats()
        job = rig.job(hard_nets.HUGE, [8000, 8000], seconds=0.5)
        assert 0.5 <= await rig.fails(job, DeadlineExceeded, "deadline_exceeded") < 1.2
        await rig.works()
        deaths = before.deaths["deadline"] + 1
        await until(lambda: rig.compute.stats().deaths["deadline"] == deaths)
        await until(lambda: len(rig.compute.stats().workers) == 2)
        assert rig.compute.stats().killed == before.killed + 1
        assert not rig.compute.quarantined()

    rig.run(run())


def test_an_inspection_has_the_time_that_compiling_has(rig: Rig) -> None:
    async def run() -> None:
        compute = computing(pool={"compile_seconds": 0.3})
        await compute.start()
        net = stored(rig.folder, hard_nets.chain(6000))
        await until(lambda: compute.stats().serving)
        for ask in (
            lambda: compute.inspect(Inspection(*net)),
            lambda: compute.call(Job("gradient", *net, [0.5, 0.5])),
        ):
            start = time.monotonic()
            with pytest.raises(DeadlineExceeded) as caught:
                await ask()
            assert caught.value.code == "compile_too_long"
            assert time.monotonic() - start < 1.3
        await compute.close()

    rig.run(run())


def test_those_who_wait_for_a_worker_that_has_their_net_are_counted_too(rig: Rig) -> None:
    """Though another one is free, for which they would wait only later."""

    async def run() -> None:
        compute = computing(pool={"workers": 2, "max_queued": 2})
        await compute.start()
        endless = rig.job(hard_nets.ENDLESS, [1.0, 2.0], seconds=0.6)
        compute._crew._opening[endless.net_id] = 30.0
        await until(lambda: len([w for w in compute.stats().workers if w.state == "idle"]) == 2)
        calls = [asyncio.create_task(compute.call(endless)) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert compute.stats().queued == 2
        assert isinstance(calls[3].exception(), Busy)
        # Whoever need not wait is served.
        answer = await compute.call(rig.job(hard_nets.SQUARE, [2.0]))
        assert answer.outputs["y"].tolist() == [4.0]
        await asyncio.wait(calls)
        await compute.close()

    rig.run(run())


def test_a_long_run_is_not_held_to_the_time_of_compiling(rig: Rig) -> None:
    async def run() -> None:
        compute = computing(pool={"compile_seconds": 0.4})
        await compute.start()
        await until(lambda: compute.stats().serving)
        job = rig.job(hard_nets.ENDLESS, [1.0, 2.0], seconds=1.2)
        with pytest.raises(DeadlineExceeded) as caught:
            await compute.call(job)
        assert caught.value.code == "deadline_exceeded"
        assert (compute.stats().stopped, compute.stats().killed) == (1, 0)
        await compute.close()

    rig.run(run())


def test_a_client_that_leaves_frees_the_worker(rig: Rig) -> None:
    async def run() -> None:
        before = rig.compute.stats()
        job = rig.job(hard_nets.ENDLESS, [1.0, 2.0])
        for wait in (0.0, 0.3):  # as soon as it was given, and in its run
            call = asyncio.create_task(rig.compute.call(job))
            await until(rig.busy)
            await asyncio.sleep(wait)
            call.cancel()
            start = time.monotonic()
            await until(lambda: not rig.busy())
            assert time.monotonic() - start < 0.5
        assert rig.compute.stats().killed == before.killed

    rig.run(run())


def test_those_who_leave_while_they_wait(rig: Rig) -> None:
    async def run() -> None:
        job = rig.job(hard_nets.ENDLESS, [1.0, 2.0])
        calls = [asyncio.create_task(rig.compute.call(job)) for _ in range(10)]
        await until(lambda: rig.compute.stats().queued == 8)
        for call in calls[::-1]:
            call.cancel()
        await until(lambda: not rig.busy() and not rig.compute.stats().queued)
        await rig.works()

    rig.run(run())


def test_too_many_wait(rig: Rig) -> None:
    async def run() -> None:
        compute = computing(pool={"max_queued": 2})
        await compute.start()
        await until(lambda: compute.stats().serving)
        endless = rig.job(hard_nets.ENDLESS, [1.0, 2.0], seconds=1.5)
        square = rig.job(hard_nets.SQUARE, [2.0], seconds=0.7)
        calls = [asyncio.create_task(compute.call(job)) for job in (endless, square, square)]
        await asyncio.sleep(0.3)
        assert compute.stats().queued == 2
        with pytest.raises(Busy) as caught:
            await compute.call(square)
        assert (caught.value.code, caught.value.retry_after) == ("busy", 2)
        # And those who wait longer than they have time are told that, not that they took long.
        for call in calls[1:]:
            with pytest.raises(Busy) as caught:
                await call
            assert caught.value.code == "busy"
            assert "0.7 s" in caught.value.detail
        with pytest.raises(DeadlineExceeded):
            await calls[0]
        await compute.close()

    rig.run(run())
