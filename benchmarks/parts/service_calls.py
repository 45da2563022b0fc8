"""Single calls on the service over loopback, by the SDK: its median time, client included.

The service has default settings, and runs nets in workers apart from the process that answers.
The echo is what a call costs before any net is looked at: the uvicorn, event loop and protocol of
`portgrad serve` over a bare ASGI application that sends the chunks of a body back as they came.
The SDK's own transport sends it the very bytes that the SDK sends the service. The other echo is
a FastAPI application of one route, served and asked in the same way. The client that sends JSON
writes and reads numbers with orjson, over one kept connection.
"""

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

TABLE = "Calls on the service"
TINY = "tiny net, 16 floats"
SMALL = "small net, 1M floats (4 MB each way)"
JSON = "the same as JSON"


def rows(given: Given) -> Iterator[Row]:
    """Times, and their ratios to the echo's."""
    with TemporaryDirectory() as folder, servers(Path(folder)) as those:
        yield from _tiny(those, 3 * given.rounds)
        yield from _small(those, 3 * given.rounds)


def _tiny(those: Servers, turns: int) -> Iterator[Row]:
    net, x = _net(those, 16)
    calls = those.calls(net, x)
    times = by_turns(calls, 100, turns)
    yield duration(TABLE, TINY, times["gradient"], 1.0, where(those, calls, 1000))
    yield from over_echoes(TABLE, TINY, times, 2.5)


def _small(those: Servers, turns: int) -> Iterator[Row]:
    net, x = _net(those, 1_000_000)
    calls = those.calls(net, x)
    times = by_turns(calls, 1, turns)
    yield duration(TABLE, SMALL, times["gradient"], 30.0, where(those, calls, 40))
    yield from over_echoes(TABLE, SMALL, times, 2.0)
    asked = as_json(those.service.url, net, x)
    check(asked(), 1_000_000)
    times = {"gradient": by_turns({"JSON": asked}, 1, max(3, turns // 2))["JSON"]}
    cost = spent(asked, those.service, 5)
    yield duration(TABLE, JSON, times["gradient"], 500.0, f"ms of the processor: {cost}")


def _net(those: Servers, size: int) -> tuple[Net, np.ndarray]:
    net, x = those.client.upload(nets.tanh_mlp(size)), point(size)
    check(net.gradient(x)["Input"], size)
    return net, x
