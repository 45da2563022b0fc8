"""Plots of tables of ratios: the figures as dots on a line for each net, and the goals as ticks.

A colour for what is asked, and a hollow dot for the second way of it, such as another number of
threads; a cross where the goal is missed. White behind, so that a page may be dark.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.tables import by_table

COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#8d6a9f", "#e0a030", "#444444")
QUIET = "#cccccc"
FAR = 20  # times the least figure: beyond that the axis is logarithmic


@dataclass(frozen=True)
class Picture:
    """A plot that was written, the table it is of, and what it shows in words."""

    table: str
    path: Path
    says: str


def drawn(rows: list[Row], folder: Path) -> Iterator[Picture]:
    """A plot for each table of ratios that has enough to show, of which the same is better."""
    for table, some in by_table(rows).items():
        found = [row for row in some if row.figure is not None and row.unit == "×"]
        if len(found) >= 4 and len({row.at_least for row in found if row.goal}) == 1:
            path = folder / f"bench-{_slug(table)}.svg"
            _plot(table, found, path)
            yield Picture(table, path, f"{table}: each figure as a dot, each goal as a tick")


def _slug(title: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in title.lower()).split()
    return "-".join(words)


def _plot(title: str, rows: list[Row], path: Path) -> None:
    # Imported here: everything but the pictures works without the extra's packages.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = list(dict.fromkeys(row.what for row in rows))[::-1]
    with mpl.rc_context({"svg.hashsalt": "portgrad", "font.size": 9, "svg.fonttype": "none"}):
        size = (7.2, 1.1 + 0.32 * len(lines))
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        axes = figure.subplots()
        _dots(axes, rows, lines)
        _dress(axes, rows, lines)
        # Of the whole picture: beside the names of nets there is no room for a long one.
        figure.suptitle(f"{title} (ticks: goals; crosses: missed)", x=0.01, ha="left", fontsize=10)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def _dots(axes: Any, rows: list[Row], lines: list[str]) -> None:
    columns = list(dict.fromkeys(row.column for row in rows))
    kinds, ways = (list(dict.fromkeys(c.partition(", ")[i] for c in columns)) for i in (0, 2))
    for number, column in enumerate(columns):
        kind, _, way = column.partition(", ")
        colour = COLOURS[kinds.index(kind) % len(COLOURS)]
        face = "white" if len(kinds) < len(columns) and ways.index(way) else colour
        look = {"color": colour, "markerfacecolor": face}
        axes.plot([], [], "o", label=column, markersize=5.5, **look)
        shift = 0.16 * ((len(columns) - 1) / 2 - number)
        for row in (row for row in rows if row.column == column):
            height = lines.index(row.what) + shift
            if row.spread:
                axes.plot(row.spread, [height] * 2, "-", color=colour, linewidth=1.2, alpha=0.6)
            if row.goal is not None:
                axes.plot(row.goal, height, "|", color=colour, markersize=7, markeredgewidth=1.6)
            marker, size = ("X", 7) if row.verdict == "MISS" else ("o", 5.5)
            axes.plot(row.figure, height, marker, markersize=size, **look)
    if len(columns) > 1:
        axes.figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=2)


def _dress(axes: Any, rows: list[Row], lines: list[str]) -> None:
    from matplotlib.ticker import FormatStrFormatter  # noqa: PLC0415

    figures = [row.figure for row in rows if row.figure]
    axes.set_yticks(range(len(lines)), lines)
    axes.set_ylim(-0.6, len(lines) - 0.4)
    if max(figures) > FAR * min(figures):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(f"ratio: {'more' if rows[0].at_least else 'less'} is better")
    axes.grid(axis="x", color=QUIET, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
