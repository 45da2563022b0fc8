"""Rows as tables: for a terminal, and for a page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row

STYLES = {"MISS": "bold red", "skipped": "dim"}


def figure(row: Row) -> str:
    """The figure with its unit."""
    return "skipped" if row.figure is None else measured(row.figure, row.unit)


def goal(row: Row) -> str:
    """The goal with its unit."""
    if row.goal is None:
        return "—"
    return f"{'≥' if row.at_least else '≤'} {measured(row.goal, row.unit)}"


def measured(value: float, unit: str) -> str:
    """A number as it is read: three digits, and its unit."""
    digits = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{digits} {unit}".rstrip() if unit != "×" else f"{digits}×"


def line(row: Row) -> str:
    """A row alone, as it is found."""
    place = ", ".join(part for part in (row.table, row.what, row.column) if part)
    return f"[{row.verdict}] {place}: {figure(row)} (goal {goal(row)}) {row.note}".rstrip()


def by_table(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each table."""
    tables: dict[str, list[Row]] = {}
    for row in rows:
        tables.setdefault(row.table, []).append(row)
    return tables


def show(rows: Iterable[Row]) -> None:
    """Print the tables."""
    console = Console(width=None if os.isatty(1) else 150)
    for title, some in by_table(rows).items():
        table = Table("what", "", "figure", "quartiles", "goal", "verdict", "note", title=title)
        for row in some:
            cells = (row.what, row.column, figure(row), quartiles(row), goal(row), row.verdict)
            table.add_row(*cells, row.note, style=STYLES.get(row.verdict))
        console.print(table)


def quartiles(row: Row) -> str:
    """The spread, without the unit."""
    return "" if row.spread is None else " to ".join(measured(one, "") for one in row.spread)


def markdown(rows: list[Row]) -> Iterator[str]:
    """One table of a page: a line for each `what`, two columns for each column."""
    columns = list(dict.fromkeys(row.column for row in rows))
    cells = {row.key: row for row in rows}
    yield "| | " + " | ".join(f"{column or 'figure'} | goal" for column in columns) + " |"
    yield "| --- |" + " ---: | --- |" * len(columns)
    for what in dict.fromkeys(row.what for row in rows):
        found = [cells.get((rows[0].table, what, column)) for column in columns]
        yield f"| {what} | " + " | ".join(_pair(row) for row in found) + " |"


def notes(rows: list[Row]) -> Iterator[str]:
    """What readers need to know of single figures, each once."""
    told: dict[str, None] = {}
    for row in rows:
        if row.note:
            place = (
                row.what if row.figure is None or not row.column else f"{row.what}, {row.column}"
            )
            told[f"- {place}: {row.note}"] = None
    yield from told


def _pair(row: Row | None) -> str:
    if row is None:
        return " | "
    spread = f" ({quartiles(row)})" if row.spread else ""
    shown = f"**{figure(row)}**" if row.verdict == "MISS" else figure(row)
    return f"{shown}{spread} | {goal(row)}"
