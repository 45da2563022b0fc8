"""A worker with nothing to do gives back what its last job needed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

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
            pid = compute.stats().workers[0].pid
            return usage(pid, []).http

        try:
            small, large = await asked(1), await asked(NEEDED // 4)
            until = time.monotonic() + 20
            pid = compute.stats().workers[0].pid
            while (after := usage(pid, []).http) > small + NEEDED // 8 and time.monotonic() < until:
                await asyncio.sleep(0.1)
        finally:
            await compute.close()
        return small, large, after

    small, large, after = asyncio.run(held())
    assert large > small + NEEDED // 2
    assert after < small + NEEDED // 8
