"""A worker with nothing to do gives back what its last job needed."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

import pytest

from portgrad.compute import frames, worker
from portgrad.compute.jobs import Job
from portgrad.graph.files import NetFiles
from support.computing import computing
from torture.bombs.nets import filled
from torture.memory import MIB, usage

NEEDED = 256 * MIB


def test_memory_of_a_large_job_is_given_back(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(filled())

    async def held() -> tuple[int, int, int]:
        compute = computing()
        await compute.start()

        async def asked(size: int) -> int:
            data = {"x": 1, "shape": [size]}
            await compute.call(Job("evaluate", "a", NetFiles(file), data))
            return now()

        def now() -> int:
            return usage(compute.stats().workers[0].pid, []).http

        try:
            small, large = await asked(1), await asked(NEEDED // 4)
            until = time.monotonic() + 30
            while now() > small + NEEDED // 8 and time.monotonic() < until:
                await asyncio.sleep(0.1)
            return small, large, now()
        finally:
            await compute.close()

    small, large, after = asyncio.run(held())
    assert large > small + NEEDED // 2
    assert after < small + NEEDED // 8


class Resting:
    """A workshop that only counts."""

    def __init__(self) -> None:
        self.rested = 0

    def rest(self) -> None:
        self.rested += 1


@pytest.mark.parametrize(("busy", "rested"), [(60.0, 0), (0.0, 1)])
def test_a_worker_that_is_always_asked_rests_now_and_then(
    busy: float, rested: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_IDLE_SECONDS", 60.0)
    monkeypatch.setattr(worker, "_BUSY_SECONDS", busy)
    here, there = socket.socketpair()
    workshop = Resting()
    with here, there:
        rest = worker._Rest(there, workshop)  # type: ignore[arg-type]
        threading.Timer(0.1, here.sendall, [b"soon"]).start()
        assert rest.until(frames.Reader()) == []
    assert workshop.rested == rested
