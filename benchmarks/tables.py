"""Rows as tables: for a terminal, and for a page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from benchmarks.rows import MEDIAN, Row

FEW = 5  # rows that are told one by one
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


def in_short(rows: list[Row]) -> str:
    """The figures of a table in a line: the medians of the nets, each row of a few, or ranges."""
    medians = [row for row in rows if row.what == MEDIAN]
    if medians:
        return "medians: " + "; ".join(f"{row.column} {_beside(row)}" for row in medians)
    if len(rows) <= FEW:
        one = len({row.what for row in rows}) == 1
        return "; ".join(
            f"{row.column if one else row.what} {_beside(row)}" for row in rows
        ).strip()
    kinds = dict.fromkeys((row.column, row.unit) for row in rows)
    return "; ".join(
        _range([row for row in rows if (row.column, row.unit) == kind]) for kind in kinds
    )


def _beside(row: Row) -> str:
    """The figure with its goal."""
    return _shown(row) if row.goal is None else f"{_shown(row)} ({goal(row)})"


def _range(rows: list[Row]) -> str:
    """The lowest and the highest figure of a column, in one unit; a single one by its name."""
    if len(rows) == 1:
        return f"{rows[0].what}, {rows[0].column} {_beside(rows[0])}"
    figures = [row.figure for row in rows if row.figure is not None]
    if not figures:
        return f"{rows[0].column} skipped".strip()
    low, high = measured(min(figures), ""), measured(max(figures), rows[0].unit)
    return f"{rows[0].column} {low} to {high}".strip()


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
    return f"{_shown(row)}{spread} | {goal(row)}"


def _shown(row: Row) -> str:
    """The figure, bold where it misses its goal."""
    return f"**{figure(row)}**" if row.verdict == "MISS" else figure(row)
