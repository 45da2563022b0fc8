"""Single calls on the service, and the echo of their bodies: of a tiny net, and of 4 MB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.serving import nets
from benchmarks.serving.calls import Servers, as_json, check, point, servers
from benchmarks.serving.told import duration, over_echoes, where
from benchmarks.serving.turns import by_turns
from benchmarks.serving.where import spent
from portgrad_client import Net

TINY = "tiny net, 16 floats, SDK"
SMALL = "small net, 1M floats (4 MB each way), SDK"
JSON = "the same as JSON"
ECHOES = {
    "echo": "a bare ASGI application on the same uvicorn, event loop and protocol as the service, "
    "which sends the chunks of a body back as they came; the SDK's own transport sends it the "
    "bytes that the SDK sends the service",
    "framework": "a FastAPI application with one route, served and asked in the same way",
}
AS_JSON = "the client writes and reads numbers with orjson"


def rows(given: Given) -> Iterator[Row]:
    """Times, and their ratios to the echo's."""
    with TemporaryDirectory() as folder, servers(Path(folder)) as those:
        yield from _tiny(those, 3 * given.rounds)
        yield from _small(those, 3 * given.rounds)


def _tiny(those: Servers, turns: int) -> Iterator[Row]:
    net, x = _net(those, 16)
    calls = those.calls(net, x)
    times = by_turns(calls, 100, turns)
    yield duration(TINY, times["gradient"], 1.0, where(those, calls, 1000))
    yield from over_echoes(TINY, times, 2.5, ECHOES)


def _small(those: Servers, turns: int) -> Iterator[Row]:
    net, x = _net(those, 1_000_000)
    calls = those.calls(net, x)
    times = by_turns(calls, 1, turns)
    yield duration(SMALL, times["gradient"], 30.0, where(those, calls, 40))
    yield from over_echoes(SMALL, times, 2.0)
    asked = as_json(those.service.url, net, x)
    check(asked(), 1_000_000)
    times = {"gradient": by_turns({"JSON": asked}, 1, max(3, turns // 2))["JSON"]}
    cost = spent(asked, those.service, 5)
    yield duration(JSON, times["gradient"], 500.0, f"{AS_JSON}; ms of the processor: {cost}")


def _net(those: Servers, size: int) -> tuple[Net, np.ndarray]:
    net, x = those.client.upload(nets.tanh_mlp(size)), point(size)
    check(net.gradient(x)["Input"], size)
    return net, x
