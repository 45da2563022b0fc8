"""Dynamic batching: many clients of one net, each with an example of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.serving import crowds, nets
from benchmarks.serving.load import load
from benchmarks.serving.program import portgrad
from portgrad_client import Client, Net

TABLE = "The service under load"
TOGETHER, SECONDS = 64, 2.0
SIZES = (784, 512, 512, 10)


def rows(given: Given) -> Iterator[Row]:
    """The same net, declared batchable and not; two seeds, as a net's id is that of its bytes."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        service = stack.enter_context(portgrad(folder))
        client = stack.enter_context(Client(service.url, timeout=120))
        held = {
            "together": client.upload(nets.dense(SIZES, 1), batchable=True),
            "alone": client.upload(nets.dense(SIZES, 2)),
        }
        loads = {
            name: stack.enter_context(load(service.url, _examples(net), TOGETHER))
            for name, net in held.items()
        }
        found = crowds.by_turns(loads, SECONDS, given.rounds)
    crowds.check(found)
    together, alone = found["together"], found["alone"]
    ratio = together.over(alone)
    what = f"dynamic batching, MLP of one example, {TOGETHER} clients"
    note = f"{together.rate.median:,.0f} a second, beside {alone.rate.median:,.0f}"
    yield Row(
        TABLE,
        f"{what}: throughput over that without",
        ratio.median,
        3.0,
        spread=ratio.quartiles,
        note=note,
        at_least=True,
        raw=ratio.raw,
    )
    p99 = together.percentile(99), alone.percentile(99)
    note = f"{p99[0]:.1f} ms, beside {p99[1]:.1f}"
    yield Row(TABLE, f"{what}: p99 over that without", p99[0] / p99[1], 1.0, note=note)


def _examples(net: Net) -> list[bytes]:
    """A request for each client, with an example of its own."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((TOGETHER, 1, SIZES[0])).astype(np.float32)
    return [crowds.gradient(net, x) for x in data]
