"""Workers that die with a job: what becomes of it, of others, and of the net."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from portgrad.compute.jobs import Inspection
from portgrad.errors import (
    Busy,
    Quarantined,
    RunFailed,
)
from support import hard_nets
from support.descriptors import open_descriptors
from support.pool_rig import Rig, rigged, until


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rigged(tmp_path_factory.mktemp("nets"), compile_seconds=5) as rig:
        yield rig


def test_killed_once(rig: Rig) -> None:
    async def run() -> None:
        before = rig.compute.stats().retries
        job = rig.job(hard_nets.HUGE, [2600, 2600], seconds=15)
        call = asyncio.create_task(rig.compute.call(job))
        await rig.kill_who_works(signal.SIGKILL)
        answer = await call
        assert answer.outputs["y"].shape == (2600, 2600)
        assert (answer.outputs["y"] == 2600 * 1.5 * 1.5).all()
        assert rig.compute.stats().retries == before + 1

    rig.run(run())


def test_killed_twice(rig: Rig) -> None:
    async def run() -> None:
        call = asyncio.create_task(
            rig.compute.call(rig.job(hard_nets.ENDLESS, [1.0, 2.0], seconds=15))
        )
        await rig.kill_who_works(signal.SIGKILL)
        await rig.kill_who_works(signal.SIGTERM)
        with pytest.raises(Busy) as caught:
            await call
        assert (caught.value.code, caught.value.retry_after) == ("worker_died", 1)
        assert not rig.compute.quarantined()

    rig.run(run())


def test_a_net_that_crashes_workers(rig: Rig) -> None:
    """Twice by one call, once by the next: then it is quarantined, for who did that."""

    async def run() -> None:
        before = rig.compute.stats().deaths["crashed"]
        fatal = rig.job(hard_nets.DIVIDING, hard_nets.FATAL, owner="hers")
        for crashes in (2, 3):
            await rig.fails(fatal, RunFailed, "worker_crashed")
            assert rig.compute.stats().deaths["crashed"] == before + crashes
        await rig.fails(fatal, Quarantined, "net_quarantined")
        (listed,) = rig.compute.quarantined()
        assert (listed["net"], listed["owner"]) == (fatal.net_id, "hers")
        assert listed["crashes"] == 3
        harmless = {"a": [6], "b": [3]}
        with pytest.raises(Quarantined):
            await rig.compute.inspect(Inspection(fatal.net_id, fatal.files, owner="hers"))
        # Others are served with it, and she with other nets.
        answer = await rig.compute.call(rig.job(hard_nets.DIVIDING, harmless, owner="his"))
        assert answer.outputs["y"].tolist() == [2]
        await rig.works(owner="hers")
        assert rig.compute.release(fatal.net_id)
        assert not rig.compute.release(fatal.net_id)
        answer = await rig.compute.call(rig.job(hard_nets.DIVIDING, harmless, owner="hers"))
        assert answer.outputs["y"].tolist() == [2]

    rig.run(run())


def test_who_leaves_before_the_crash_is_not_forgotten(rig: Rig) -> None:
    async def run() -> None:
        for _ in range(3):
            job = rig.job(hard_nets.ENDLESS, [1.0, 2.0], owner="leaves")
            call = asyncio.create_task(rig.compute.call(job))
            await asyncio.sleep(0.05)
            await until(lambda: len(rig.busy()) == 1)  # a rehearsal may be under way beside it
            (pid,) = rig.busy()
            os.kill(pid, signal.SIGSTOP)  # so that it cannot stop before it crashes
            call.cancel()
            await asyncio.wait([call])
            os.kill(pid, signal.SIGSEGV)
            os.kill(pid, signal.SIGCONT)
            await until(lambda: not rig.busy())
        await rig.fails(job, Quarantined, "net_quarantined")
        assert rig.compute.release(job.net_id)

    rig.run(run())


def test_the_nursery_is_killed(rig: Rig) -> None:
    """With it die all workers at one moment; the job that one had is done once more."""

    async def run() -> None:
        await until(lambda: len(rig.compute.stats().workers) == 2)
        job = rig.job(hard_nets.HUGE, [1500, 1500], seconds=15)
        call = asyncio.create_task(rig.compute.call(job))
        await until(rig.busy)
        old = {worker.pid for worker in rig.compute.stats().workers}
        os.kill(rig.compute.stats().others["nursery"], signal.SIGKILL)
        assert (await call).outputs["y"].shape == (1500, 1500)
        await rig.works()
        assert _gone(old)
        await until(lambda: len(rig.compute.stats().workers) == 2)

    rig.run(run())


def _gone(pids: set[int]) -> bool:
    return not any(_lives(pid) for pid in pids)


def _lives(pid: int) -> bool:
    """Whether it is there, and no zombie that nobody has waited for."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _processes(rig: Rig) -> set[int]:
    stats = rig.compute.stats()
    return {worker.pid for worker in stats.workers} | {*stats.others.values()}


def test_closing_waits_for_what_runs_and_leaves_no_process(tmp_path: Path) -> None:
    descriptors = open_descriptors()
    with rigged(tmp_path) as rig:

        async def run() -> None:
            job = rig.job(hard_nets.HUGE, [1500, 1500])
            calls = [asyncio.create_task(rig.compute.call(job)) for _ in range(3)]
            await until(rig.busy)
            pids = _processes(rig)
            closing = asyncio.create_task(rig.compute.close())
            await asyncio.sleep(0.01)
            with pytest.raises(Busy) as caught:
                await rig.works()
            assert caught.value.code == "draining"
            for call in calls:
                assert (await call).outputs["y"].shape == (1500, 1500)
            await closing
            await until(lambda: _gone(pids))

        rig.run(run())
    gc.collect()  # answers, whose blocks are mapped, hang on what was caught
    assert open_descriptors() == descriptors


SERVICE = """
import asyncio, sys
from pathlib import Path
from support import hard_nets
from support.pool_rig import Rig, until

async def main(rig):
    await rig.compute.start()
    await rig.works()
    call = asyncio.create_task(rig.compute.call(rig.job(hard_nets.ENDLESS, [1.0, 2.0])))
    await until(rig.busy)
    stats = rig.compute.stats()
    print(*(worker.pid for worker in stats.workers), *stats.others.values(), flush=True)
    await call

with asyncio.Runner() as runner:
    runner.run(main(Rig(Path(sys.argv[1]), runner)))
"""


def test_nothing_outlives_the_http_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVICE, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as service:
        assert service.stdout is not None
        pids = {int(pid) for pid in service.stdout.readline().split()}
        assert len(pids) == 3
        service.kill()
    for _ in range(200):
        if _gone(pids):
            return
        time.sleep(0.01)
    pytest.fail(f"One of {pids} lives on.")
