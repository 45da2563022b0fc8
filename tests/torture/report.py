"""Rows of the table, and the table."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One thing that was measured.

    Args:
        name: what.
        figure: what was found.
        goal: what it should be.
        ok: whether it is; None where it could not be tried here, which `figure` explains.
        seconds: how long it took.
    """

    name: str
    figure: str
    goal: str
    ok: bool | None
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """In one word."""
        return {True: "ok", False: "MISS", None: "skipped"}[self.ok]


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._start


def missed(rows: Iterable[Row]) -> bool:
    """Whether any row is not as it should be. What was skipped is not missed."""
    return any(row.ok is False for row in rows)


def table(rows: Iterable[Row]) -> Table:
    """The rows for a terminal or a page."""
    cores, load = os.cpu_count(), os.getloadavg()[0]
    shown = Table(title=f"torture, on {cores} cores, load {load:.1f}")
    for column in ("name", "figure", "goal"):
        shown.add_column(column, overflow="fold")
    shown.add_column("verdict")
    shown.add_column("seconds", justify="right")
    for row in rows:
        style = {True: None, False: "bold red", None: "dim"}[row.ok]
        cells = (row.name, row.figure, row.goal, row.verdict, f"{row.seconds:.1f}")
        shown.add_row(*cells, style=style)
    return shown


def show(rows: list[Row]) -> None:
    """Print the table."""
    Console(width=None if os.isatty(1) else 180).print(table(rows))


def write(rows: list[Row], path: Path) -> None:
    """The rows as JSON, with what they were measured on."""
    about = {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    plain = {**about, "rows": [{**asdict(row), "verdict": row.verdict} for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain, indent=1) + "\n")
