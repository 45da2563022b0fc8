"""What a pool of real workers tells operators: its log, and its numbers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from portgrad.compute.jobs import Job
from portgrad.compute.pool import WorkerCompute
from portgrad.graph.files import NetFiles
from portgrad.samples import linear
from support.computing import computing


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def until(holds: Callable[[], object]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.02)
    pytest.fail("It did not come about.")


async def tell(compute: WorkerCompute, net: Path, caplog: pytest.LogCaptureFixture) -> None:
    await compute.start()
    await until(lambda: compute.stats().serving)
    assert compute.stats().deaths == {"crashed": 0, "out_of_memory": 0, "killed": 0, "deadline": 0}
    job = Job("gradient", "0" * 64, NetFiles(net), [[1.0, 1.0, 1.0, 1.0]])
    for _ in range(3):
        await compute.call(job)
    worker = compute.stats().workers[0]
    # Whatever writes there: the runtime, Python, the C library as it aborts.
    with open(f"/proc/{worker.pid}/fd/2", "wb", buffering=0) as stderr:  # noqa: PTH123
        stderr.write(b"native code says\n and half a li")
    os.kill(worker.pid, signal.SIGABRT)
    await until(lambda: compute.stats().deaths["crashed"] == 1 and compute.stats().serving)
    await compute.call(job)
    stats = compute.stats()
    assert (stats.started, stats.net_hits, stats.net_misses) == (2, 2, 2)
    # Counts of a worker outlive it.
    assert (stats.session_hits, stats.session_misses) == (2, 2)
    said = [record.getMessage() for record in caplog.records if record.name == "portgrad.worker"]
    name = f"worker {worker.name}"
    assert said == [f"{name}: native code says", f"{name}:  and half a li"]


def test_the_log_and_the_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    net = tmp_path / "net.onnx"
    net.write_bytes(linear(3, 4))

    async def run() -> None:
        compute = computing()
        try:
            await tell(compute, net, caplog)
        finally:
            await compute.close()

    before = open_files()
    asyncio.run(run())
    assert open_files() == before
