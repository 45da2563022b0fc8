"""A Compute that runs jobs on a pool of threads of this process.

The runtime releases the GIL while it runs, so threads share the cores; parsing and compiling hold
it, off the event loop all the same.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from portgrad.autodiff.catalogue import catalogue
from portgrad.compute.calls import CALLS
from portgrad.compute.jobs import Answer, Description, Export, Job
from portgrad.compute.stats import PoolStats, WorkerStats
from portgrad.engine import Net, load
from portgrad.engine.cache import Cache
from portgrad.engine.limits import LIMITS, Limits
from portgrad.errors import NotFound
from portgrad.graph.files import NetFiles

Done = TypeVar("Done")


class ThreadCompute:
    """Nets in this process, jobs on threads.

    Args:
        threads: how many jobs run at once, and threads for each run; None for one per core.
        nets: how many loaded nets are kept.
        sessions: how many compiled graphs are kept, over all nets.
        limits: how large nets, and what is computed with them, may be.
    """

    def __init__(
        self,
        threads: int | None = None,
        *,
        nets: int = 32,
        sessions: int = 128,
        limits: Limits = LIMITS,
    ) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="portgrad-compute")
        self._limits = limits
        self._nets: Cache[str, Net] = Cache(nets)
        self._sessions: Cache[tuple[Any, ...], Any] = Cache(sessions)

    async def inspect(self, files: NetFiles) -> Description:
        """Check a net and describe it; raises InvalidNet where it cannot be served."""
        description, _ = await self._submit(lambda: self._inspect(files))
        return description

    async def call(self, job: Job) -> Answer:
        """Whatever the job asks, and the outputs that were asked for."""
        answer, queued = await self._submit(lambda: CALLS[job.kind](self._net(job), job))
        return replace(answer, timings={"queue": queued, **answer.timings})

    async def export(self, job: Export, path: Path) -> list[Path]:
        """Write a gradient's file, and beside it that of its weights if any; what was written."""
        written, _ = await self._submit(lambda: self._export(job, path))
        return written

    async def operators(self) -> list[Description]:
        """Every operator with its versions and what becomes of its gradient."""
        listed, _ = await self._submit(lambda: [operator.plain() for operator in catalogue()])
        return listed

    async def forget(self, net_id: str) -> None:
        """Drop what is cached of a net."""
        self._nets.drop(lambda key: key == net_id)
        self._sessions.drop(lambda key: key[0] == net_id)

    def stats(self) -> PoolStats:
        """All threads as one worker: nobody counts what they do."""
        nets, sessions = len(self._nets), len(self._sessions)
        worker = WorkerStats("threads", os.getpid(), "idle", nets=nets, sessions=sessions)
        return PoolStats((worker,), wanted=1)

    async def close(self) -> None:
        """Finish what runs and let go of the threads."""
        await asyncio.to_thread(self._pool.shutdown)

    async def _submit(self, work: Callable[[], Done]) -> tuple[Done, float]:
        """What the work gives, and the seconds that it waited for a thread."""
        asked = time.perf_counter()

        def run() -> tuple[Done, float]:
            queued = time.perf_counter() - asked
            return work(), queued

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def _net(self, job: Job | Export) -> Net:
        def make() -> Net:
            try:
                return self._load(job.files)
            except FileNotFoundError as error:
                raise _removed(job.net_id) from error

        return self._nets.get(job.net_id, make)

    def _export(self, job: Export, path: Path) -> list[Path]:
        file = self._net(job).export_gradient(**job.options)
        location = job.external or ""
        return list(file.write(path, external=bool(location), location=location).files)

    def _load(self, files: NetFiles) -> Net:
        return load(
            files,
            sessions=self._sessions,
            threads=self._threads,
            limits=self._limits,
        )

    def _inspect(self, files: NetFiles) -> Description:
        net = self._load(files)
        net.check()
        self._nets.get(net.id, lambda: net)
        return net.description.plain()


def _removed(net_id: str) -> NotFound:
    return NotFound(
        f"The net {net_id} was removed before this call could open it.",
        code="net_not_found",
        where=net_id,
        expected="a net that stays until its calls are answered",
        remedy="Upload the net again.",
    )
