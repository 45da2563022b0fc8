"""A worker whose memory is full of what it keeps: it lets go of it, and refuses nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from portgrad.compute.jobs import Job
from portgrad.errors import RunFailed
from portgrad.graph.files import NetFiles
from portgrad.samples import linear
from support.computing import computing

MIB = 1024 * 1024
SIZE, NETS, MEMORY = 512, 48, 96 * MIB


def test_no_net_is_refused_for_those_that_are_kept(tmp_path: Path) -> None:
    async def asked() -> tuple[int, int]:
        compute = computing(memory_bytes=MEMORY, readable=(str(tmp_path),), nets=NETS)
        await compute.start()
        try:
            for seed in range(NETS):
                file = tmp_path / f"{seed}.onnx"
                file.write_bytes(linear(SIZE, SIZE, seed))
                job = Job("gradient", str(seed), NetFiles(file), np.ones((1, SIZE), np.float32))
                answer = await compute.call(job)
                (found,) = answer.derivatives.values()
                assert found.shape == (1, SIZE)
            (worker,) = compute.stats().workers
            return compute.stats().started, worker.sessions
        finally:
            await compute.close()

    started, sessions = asyncio.run(asked())
    assert started == 1
    assert 1 < sessions < NETS  # or the test's memory is too large for it


def test_a_call_that_is_too_large_is_refused_all_the_same(tmp_path: Path) -> None:
    async def asked() -> None:
        compute = computing(memory_bytes=MEMORY, readable=(str(tmp_path),))
        await compute.start()
        try:
            for seed in range(3):
                file = tmp_path / f"{seed}.onnx"
                file.write_bytes(linear(SIZE, SIZE, seed))
                data = np.ones((1, SIZE), np.float32)
                await compute.call(Job("gradient", str(seed), NetFiles(file), data))
            wide = tmp_path / "wide.onnx"
            wide.write_bytes(linear(4 * SIZE, 1))
            data = np.ones((16 * 1024, 1), np.float32)
            with pytest.raises(RunFailed) as caught:
                await compute.call(Job("evaluate", "wide", NetFiles(wide), data))
            assert caught.value.code == "out_of_memory"
        finally:
            await compute.close()

    asyncio.run(asked())
