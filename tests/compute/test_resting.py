"""A worker with nothing to do gives back what its last job needed."""

from __future__ import annotations

import asyncio
import mmap
import resource
import select
import socket
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from portgrad.compute import arriving, worker
from portgrad.compute.config import WorkerConfig
from portgrad.compute.jobs import Job
from portgrad.compute.workshop import Workshop
from portgrad.errors import RunFailed
from portgrad.graph.files import NetFiles
from support.computing import computing
from support.forked import in_child
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


@pytest.mark.parametrize("code", ["out_of_memory", "deadline_exceeded", "wrong_shape"])
def test_what_a_greedy_job_took_is_given_back_before_it_is_answered(code: str) -> None:
    """The next job may come at once, and would wait for it."""
    here, there = socket.socketpair()
    answered: list[bool] = []

    class Greedy(Resting):
        def do(self, *_: object) -> None:
            raise RunFailed("It did not work.", code=code)

        def kept(self) -> dict[str, int]:
            return {}

        def rest(self) -> None:
            answered.append(bool(select.select([here], [], [], 0)[0]))

        def worn(self) -> bool:
            return True

    with here, there:
        job = arriving.Received(7, {})
        worker._do(there, Greedy(), job, SilentWatch())  # type: ignore[arg-type]
        (told,) = arriving.Reader().feed(here) or []
    assert told.message["fault"]["code"] == code
    assert answered == ([] if code == "wrong_shape" else [False])
    assert told.message["worn"] == (code != "wrong_shape")


@pytest.mark.parametrize(("taken", "worn"), [(0.4, False), (0.6, True)])
def test_who_can_take_less_than_half_of_its_memory_is_worn(taken: float, worn: bool) -> None:
    """Addresses count, as the kernel counts them, whether anything lies there or not."""
    most = 512 * MIB

    def work() -> bool:
        has = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
        resource.setrlimit(resource.RLIMIT_AS, (has + most,) * 2)
        workshop = Workshop(WorkerConfig(memory_bytes=most))
        with mmap.mmap(-1, int(taken * most)):
            return workshop.worn()

    assert in_child(work) == worn


class SilentWatch:
    """Hears nothing."""

    def working(self, _number: int) -> AbstractContextManager[None]:
        return nullcontext()

    def tell_deadline(self, _seconds: float) -> None: ...


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
        assert rest.until(arriving.Reader()) == []
    assert workshop.rested == rested
