"""The tiny net's gradient for 32 clients at once, beside an echo of the same bodies in FastAPI.

Both servers are the uvicorn, event loop and protocol of `portgrad serve`. The clients are one
process of bare connections, which takes little of the machine: each asks as soon as it was
answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.given import Given
from benchmarks.rows import Row
from benchmarks.serving import crowds, nets
from benchmarks.serving.calls import point
from benchmarks.serving.crowds import Throughput
from benchmarks.serving.load import load
from benchmarks.serving.program import Program, echo, portgrad
from portgrad_client import Client

TABLE = "Many clients at once"
CROWD, SECONDS = 32, 2.0


def rows(given: Given) -> Iterator[Row]:
    """Requests a second of 32 clients, beside the echo of a framework."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        service = stack.enter_context(portgrad(folder / "service"))
        mirror = stack.enter_context(echo(folder / "echo", framework=True))
        client = stack.enter_context(Client(service.url))
        net, x = client.upload(nets.tanh_mlp(16)), point(16)
        loads = {
            "gradient": stack.enter_context(load(service.url, [crowds.gradient(net, x)], CROWD)),
            "echo": stack.enter_context(load(mirror.url, [crowds.echoed(net, x)], CROWD)),
        }
        before = service.cpu()
        found = crowds.by_turns(loads, SECONDS, given.rounds)
        crowds.check(found)
        ours, other = found["gradient"], found["echo"]
        ratio = ours.over(other)
        note = (
            f"{ours.rate.median:,.0f} a second, p99 {ours.percentile(99):.0f} ms, beside "
            f"{other.rate.median:,.0f}; {_each(service, before, ours)}"
        )
        yield Row(
            TABLE,
            f"tiny net, {CROWD} clients: requests a second over the echo's",
            ratio.median,
            0.5,
            spread=ratio.quartiles,
            note=note,
            at_least=True,
            raw=ratio.raw,
        )


def _each(program: Program, before: tuple[float, float], found: Throughput) -> str:
    """The processor's milliseconds of one call, about: the turns that warm up count, too."""
    after = program.cpu()
    calls = sum(len(turn.ms) for turn in found.turns) * (1 + 1 / len(found.turns))
    http, workers = ((new - old) / calls * 1e3 for new, old in zip(after, before, strict=True))
    return f"ms of the processor a call: HTTP process {http:.2f}, workers {workers:.2f}"
