"""A service with a thousand small MLPs; each was asked for a gradient, fifty go on being asked.

The other service has one of them. Both have workers of 512 MiB, which hold the nets that were
asked for lately.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.serving import many
from benchmarks.serving.memory import private
from benchmarks.serving.program import portgrad
from benchmarks.serving.turns import by_turns
from portgrad_client import Client

TABLE = "A thousand nets on one service"
NETS, HOT, MIB = 1000, 50, 1024 * 1024
BUDGET = 512 * MIB


def rows(given: Given) -> Iterator[Row]:
    """A thousand nets, of which each has been asked for a gradient; fifty go on being asked."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        budget = {"worker_memory_bytes": BUDGET}
        full = stack.enter_context(portgrad(folder / "full", **budget))
        other = stack.enter_context(portgrad(folder / "one", **budget))
        clients = [stack.enter_context(Client(each.url)) for each in (full, other)]
        single = many.fill(clients[1], 1)
        rest = max(map(private, full.others()))
        filled = many.fill(clients[0], NETS)
        calls = {
            "hot": many.round_robin(filled.nets[-HOT:]),
            "one": many.round_robin(single.nets),
        }
        times = by_turns(calls, HOT, 3 * given.rounds, warm=2)
        most = many.largest(full) - rest
    ratio, what = times["hot"].over(times["one"]), f"{NETS:,} nets, {HOT} hot"
    p50 = {name: each.p50.median for name, each in times.items()}
    each = f"upload and first gradient took {filled.seconds * 1e3:.0f} ms a net"
    yield Row(
        TABLE,
        f"{what}: p50 over that of a server with one",
        ratio.median,
        1.2,
        spread=ratio.quartiles,
        note=f"{p50['hot']:.2f} ms, beside {p50['one']:.2f}; {each}",
        raw=ratio.raw,
    )
    note = (
        "memory of its own that the largest worker took; the goal is PORTGRAD_WORKER_MEMORY_BYTES"
    )
    yield Row(TABLE, f"{what}: memory of a worker", most / MIB, BUDGET / MIB, "MiB", note=note)
