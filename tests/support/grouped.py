"""Calls that wait for one worker until a gate opens, so that they form groups surely."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from portgrad.codecs.model import Answer
from portgrad.compute.jobs import Job
from support import hard_nets
from support.hard_nets import stored
from support.pool_rig import Rig, rigged, until

LAYER = """layer (float[n,3] x) => (float[n,2] y) <float[3,2] w = {1.0, -2.0, 0.5, 3.0, 1.5, -1.0}>
    { h = MatMul(x, w) y = Tanh(h) }"""
PORTS = [{"name": "x", "shape": ["n", 3]}]


def job(rig: Rig, data: Any, kind: Any = "gradient", **more: Any) -> Job:
    options = {"wrt": "inputs", "stacked": False} if kind == "gradient" else {}
    options |= more.pop("options", {})
    files = stored(rig.folder, LAYER)
    return Job(kind, *files, data, options=options, ports=PORTS, **more)


def x(count: int, seed: int = 0) -> dict[str, Any]:
    return {"x": np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)}


@asynccontextmanager
async def gate(rig: Rig) -> AsyncIterator[None]:
    """Nobody else's job is begun meanwhile."""
    holding = rig.job(hard_nets.ENDLESS, [1.0, 2.0], owner="gate")
    call = asyncio.create_task(rig.compute.call(holding))
    await until(rig.busy)
    try:
        yield
    finally:
        call.cancel()


async def waiting(rig: Rig, jobs: Sequence[Job]) -> list[asyncio.Task[Answer]]:
    """Calls that wait for a worker."""
    calls = [asyncio.create_task(rig.compute.call(one)) for one in jobs]
    await until(lambda: rig.compute.stats().queued == len(jobs))
    return calls


async def together(rig: Rig, jobs: Sequence[Job]) -> list[Answer | BaseException]:
    """What comes of calls that all wait before the first is begun."""
    async with gate(rig):
        calls = await waiting(rig, jobs)
    return await asyncio.gather(*calls, return_exceptions=True)


def sizes(rig: Rig) -> Counter[int]:
    return Counter(rig.compute.stats().batched)


def same(found: Any, alone: Answer) -> None:
    """float32: a product of several rows is added up in another order than that of one."""
    for arrays, expected in [
        (found.derivatives, alone.derivatives),
        (found.outputs, alone.outputs),
    ]:
        assert list(arrays) == list(expected)
        for name, array in expected.items():
            assert (arrays[name].shape, arrays[name].dtype) == (array.shape, array.dtype)
            np.testing.assert_allclose(arrays[name], array, rtol=1e-5, atol=1e-6)
    assert found.about == alone.about
    assert found.timings.keys() == alone.timings.keys()


@contextmanager
def one_worker(folder: Path) -> Iterator[Rig]:
    """That does calls of at most 8 examples together."""
    with rigged(folder, workers=1, max_batch=8) as rig:
        yield rig
