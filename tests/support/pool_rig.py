"""A pool of real workers on an event loop of its own, and what tests do to it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from portgrad.compute.jobs import Job, Unread
from portgrad.errors import PortgradError
from support import hard_nets
from support.computing import computing
from support.hard_nets import stored

MIB = 1024 * 1024
SECONDS = 20.0


class Rig:
    """One compute on one event loop, for all tests that leave it whole."""

    def __init__(self, folder: Path, runner: asyncio.Runner, **pool: Any) -> None:
        self.folder = folder
        self.runner = runner
        self.compute = computing(
            pool={"workers": 2, **pool}, readable=(str(folder),), memory_bytes=1024 * MIB
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asyncio.wait_for(work, SECONDS))

    def job(self, text: str, data: Any, **more: Any) -> Job:
        return Job("evaluate", *stored(self.folder, text), data, **more)

    async def fails(self, job: Job | Unread, kind: type[PortgradError], code: str) -> float:
        """Seconds until a call fails, as it must."""
        start = time.monotonic()
        with pytest.raises(kind) as caught:
            await self.compute.call(job)
        assert caught.value.code == code
        return time.monotonic() - start

    async def works(self, **more: Any) -> None:
        answer = await self.compute.call(self.job(hard_nets.SQUARE, [3.0], **more))
        assert answer.outputs["y"].tolist() == [9.0]

    def busy(self) -> list[int]:
        """Process ids of workers that have a job."""
        return [worker.pid for worker in self.compute.stats().workers if worker.state == "busy"]

    async def kill_who_works(self, number: int) -> int:
        """Signal the worker that has a job, as soon as one has; its process id."""
        await asyncio.sleep(0.1)  # it is in the middle
        await until(lambda: len(self.busy()) == 1)  # a rehearsal may be under way beside it
        (pid,) = self.busy()
        os.kill(pid, number)
        await until(lambda: pid not in self.busy())
        return pid


async def until(holds: Callable[[], object]) -> None:
    for _ in range(500):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("It did not come about.")


@contextmanager
def rigged(folder: Path, **pool: Any) -> Iterator[Rig]:
    """A rig whose workers are ready, over a folder of nets."""
    with asyncio.Runner() as runner:
        rig = Rig(folder, runner, **pool)
        rig.run(rig.compute.start())
        rig.run(rig.works())
        yield rig
        rig.run(rig.compute.close())
