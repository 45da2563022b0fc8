"""How soon `/healthz` is answered while a gradient takes five seconds of every core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.serving import busy, nets
from benchmarks.serving.program import portgrad
from portgrad_client import Client

TABLE = "An answer while a long call runs"
LAYERS, UNITS, FEW, LONG = 60, 1024, 128, 5.0


def rows(given: Given) -> Iterator[Row]:
    """`/healthz` while a gradient takes five seconds of every core: the slowest answer."""
    with (
        TemporaryDirectory() as folder,
        portgrad(Path(folder)) as service,
        Client(service.url, timeout=120) as client,
    ):
        net = client.upload(nets.wide(LAYERS, UNITS))

        def during(count: int) -> busy.Asked:
            data = np.random.default_rng(0).standard_normal((count, UNITS)).astype(np.float32)
            return busy.during(lambda: net.gradient(data), service.url)

        took = min(during(FEW).seconds for _ in range(3))
        count = int(FEW * LONG / took)
        found = [during(count) for _ in range(max(1, given.rounds // 3))]
    answers = [ms for each in found for ms in each.ms]
    seconds = ", ".join(f"{each.seconds:.1f}" for each in found)
    note = f"the slowest of {len(answers)}, median {np.median(answers):.2f} ms; during {seconds} s"
    what = "`/healthz` during a gradient of 5 s, slowest answer"
    yield Row(TABLE, what, max(answers), 50.0, "ms", note=note, raw=tuple(answers))
