"""The rows of single calls on the service: their time, and how many times that of their echo."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row
from benchmarks.serving.calls import Servers
from benchmarks.serving.turns import Call, Times
from benchmarks.serving.where import spent
from benchmarks.turns import Spread

TIME, MEMORY = "time", "memory"
ECHOES = {"echo": "over the echo", "framework": "over an echo in FastAPI"}


def where(those: Servers, calls: dict[str, Call], count: int) -> str:
    """The processor's milliseconds by process."""
    ours = spent(calls["gradient"], those.service, count)
    echo = spent(calls["echo"], those.bare, count)
    return f"ms of the processor: {ours} (echo: client {echo.client:.2f}, server {echo.http:.2f})"


def duration(table: str, what: str, times: Times, goal: float | None, note: str) -> Row:
    """The median time of a call."""
    return _row(table, what, TIME, times.p50, goal=goal, unit="ms", note=note)


def over_echoes(table: str, what: str, times: dict[str, Times], goal: float) -> Iterator[Row]:
    """The ratio of `gradient` to each echo."""
    for name, column in ECHOES.items():
        echo = f"the echo takes {times[name].p50.median:.3g} ms"
        ratio = times["gradient"].over(times[name])
        yield _row(table, what, column, ratio, goal=goal, unit="×", note=echo)


def _row(
    table: str, what: str, column: str, found: Spread, *, goal: float | None, unit: str, note: str
) -> Row:
    return Row(
        table,
        what,
        found.median,
        goal,
        unit,
        spread=found.quartiles,
        note=note,
        column=column,
        raw=found.raw,
    )
