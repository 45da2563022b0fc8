"""What goes into real workers and comes back: arrays, files, refusals; and what is not kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from portgrad.compute.jobs import Export
from portgrad.errors import (
    DeadlineExceeded,
    InvalidRequest,
    RunFailed,
)
from support import hard_nets
from support.descriptors import open_descriptors
from support.hard_nets import stored
from support.pool_rig import MIB, Rig, rigged, until


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rigged(tmp_path_factory.mktemp("nets"), compile_seconds=5) as rig:
        yield rig


def test_out_of_memory(rig: Rig) -> None:
    async def run() -> None:
        before = {worker.pid for worker in rig.compute.stats().workers}
        for _ in range(3):
            job = rig.job(hard_nets.WIDE, [400_000_000])
            await rig.fails(job, RunFailed, "out_of_memory")
        answer = await rig.compute.call(rig.job(hard_nets.WIDE, [10_000_000]))
        assert float(answer.outputs["y"]) == 5_000_000
        assert {worker.pid for worker in rig.compute.stats().workers} == before
        assert not any(rig.compute.stats().deaths.values())

    rig.run(run())


def test_exports(rig: Rig, tmp_path: Path) -> None:
    async def run() -> None:
        job = Export(*stored(rig.folder, hard_nets.WEIGHTED), {"wrt": "inputs"})
        (path,) = await rig.compute.export(job, tmp_path / "graph.onnx")
        assert path.stat().st_size > 100
        job = Export(job.net_id, job.files, {"wrt": "inputs"}, external="weights.data")
        # Weights this small lie in the graph all the same.
        assert await rig.compute.export(job, tmp_path / "two.onnx") == [tmp_path / "two.onnx"]

    rig.run(run())


def test_an_export_onto_a_full_disk(rig: Rig, tmp_path: Path) -> None:
    async def run() -> None:
        full = tmp_path / "full"
        full.symlink_to("/dev/full")
        job = Export(*stored(rig.folder, hard_nets.WEIGHTED), {"wrt": "inputs"})
        with pytest.raises(OSError, match="No space left") as caught:
            await rig.compute.export(job, full)
        assert caught.value.errno == 28
        await rig.works()

    rig.run(run())


def test_large_arrays_there_and_back(rig: Rig) -> None:
    async def run() -> None:
        sent = np.random.default_rng(1).standard_normal(4_000_000, np.float32)
        answer = await rig.compute.call(rig.job(hard_nets.SQUARE, sent))
        assert answer.outputs["y"].tobytes() == (sent * sent).tobytes()
        assert {"queue", "compile", "run"} <= {*answer.timings}

    rig.run(run())


def test_forgetting(rig: Rig) -> None:
    async def run() -> None:
        net_id, _ = stored(rig.folder, hard_nets.SQUARE)
        await rig.works()
        held = sum(worker.nets for worker in rig.compute.stats().workers)
        await rig.compute.forget(net_id)
        assert sum(worker.nets for worker in rig.compute.stats().workers) < held
        misses = rig.compute.stats().net_misses
        await rig.works()
        assert rig.compute.stats().net_misses == misses + 1
        # And a net that is in use: the worker lets go of it afterwards.
        endless = rig.job(hard_nets.ENDLESS, [1.0, 2.0], seconds=0.4)
        call = asyncio.create_task(rig.compute.call(endless))
        await until(rig.busy)
        await rig.compute.forget(endless.net_id)
        with pytest.raises(DeadlineExceeded):
            await call
        await rig.works()

    rig.run(run())


def test_operators(rig: Rig) -> None:
    async def run() -> None:
        listed = await rig.compute.operators()
        assert {"Conv", "Relu", "Loop"} <= {operator["name"] for operator in listed}

    rig.run(run())


ODD: dict[str, tuple[Any, str]] = {
    "an integer of 65 bits": ([2**64], "out_of_range"),
    "lists without end": ([], "ragged_array"),
}


@pytest.mark.parametrize("what", ODD)
def test_data_that_do_not_travel(rig: Rig, what: str) -> None:
    data, code = ODD[what]
    if not data:
        for _ in range(50_000):
            data = [data]
    rig.run(rig.fails(rig.job(hard_nets.SQUARE, data), InvalidRequest, code))


def test_hundreds_of_calls_gain_nothing(rig: Rig) -> None:
    async def run() -> None:
        sizes = [3, 10_000]
        nets = [hard_nets.SQUARE, hard_nets.WEIGHTED]
        jobs = [rig.job(net, np.ones(n, np.float32)) for net in nets for n in sizes]

        async def many() -> None:
            answers = await asyncio.gather(*(rig.compute.call(jobs[i % 4]) for i in range(200)))
            for i, answer in enumerate(answers):
                assert (answer.outputs["y"] == (1.0 if i % 4 < 2 else 3.0)).all()

        await many()
        me = psutil.Process()
        before, memory = open_descriptors(), me.memory_info().rss
        for _ in range(3):
            await many()
        assert open_descriptors() == before
        assert me.memory_info().rss - memory < 10 * MIB

    rig.run(run())


def test_a_net_that_is_open_in_one_worker_gets_warm_in_another(rig: Rig) -> None:
    async def run() -> None:
        job = rig.job("warmed (float[n] x) => (float[n] y) { y = Mul(x, x) }", [3.0])

        def kept() -> dict[str, tuple[int, int]]:
            return {w.name: (w.nets, w.sessions) for w in rig.compute.stats().workers}

        before = kept()
        await rig.compute.call(job)
        await until(lambda: all(kept()[name][0] > before[name][0] for name in before))
        await until(lambda: not rig.busy())
        first, second = ((kept()[n][0] - w[0], kept()[n][1] - w[1]) for n, w in before.items())
        assert first == second
        misses = rig.compute.stats().session_misses
        await rig.compute.call(job)
        assert rig.compute.stats().session_misses == misses

    rig.run(run())
