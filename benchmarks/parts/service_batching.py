"""64 clients of one net, each with an example of its own: batchable, beside one that is not.

The first net is the zoo's; the weights of the second are more than a cache holds, so that an
example alone waits for memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.serving import crowds, nets
from benchmarks.serving.crowds import Throughput
from benchmarks.serving.load import load
from benchmarks.serving.program import portgrad
from portgrad_client import Client, Net

TABLE = "Dynamic batching"
TOGETHER, SECONDS = 64, 2.0
SIZES = ((784, 512, 512, 10), (784, 2048, 2048, 10))


def rows(given: Given) -> Iterator[Row]:
    """Throughput and p99 of a net that is declared batchable, over those of one that is not."""
    for sizes in SIZES:
        found = _measured(sizes, given.rounds)
        crowds.check(found)
        yield from _rows("-".join(map(str, sizes)), found["together"], found["alone"])


def _measured(sizes: tuple[int, ...], turns: int) -> dict[str, Throughput]:
    """By turns on one service; two seeds, as the id of a net is that of its bytes."""
    with ExitStack() as stack:
        service = stack.enter_context(portgrad(Path(stack.enter_context(TemporaryDirectory()))))
        client = stack.enter_context(Client(service.url, timeout=120))
        held = {
            "together": client.upload(nets.dense(sizes, 1), batchable=True),
            "alone": client.upload(nets.dense(sizes, 2)),
        }
        loads = {
            name: stack.enter_context(load(service.url, _examples(net, sizes[0]), TOGETHER))
            for name, net in held.items()
        }
        return crowds.by_turns(loads, SECONDS, turns)


def _rows(title: str, together: Throughput, alone: Throughput) -> Iterator[Row]:
    ratio, what = together.over(alone), f"MLP {title}, {TOGETHER} clients"
    yield Row(
        TABLE,
        f"{what}: throughput over that without",
        ratio.median,
        3.0,
        spread=ratio.quartiles,
        note=f"{together.rate.median:,.0f} a second, beside {alone.rate.median:,.0f}",
        at_least=True,
        raw=ratio.raw,
    )
    p99 = together.percentile(99), alone.percentile(99)
    note = f"{p99[0]:.0f} ms, beside {p99[1]:.0f}"
    yield Row(TABLE, f"{what}: p99 over that without", p99[0] / p99[1], 1.0, note=note)


def _examples(net: Net, size: int) -> list[bytes]:
    """A request for each client, with an example of its own."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((TOGETHER, 1, size)).astype(np.float32)
    return [crowds.gradient(net, x) for x in data]
