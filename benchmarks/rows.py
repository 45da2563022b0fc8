"""What was measured: rows, what they make of their goals, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

MEDIAN = "median of the nets"  # the row that sums a table of nets up


@dataclass(frozen=True)
class Row:
    """One figure with its goal.

    Args:
        table: the title of the table it belongs to.
        what: the line of the table.
        figure: what was found; None where it could not be tried here, which `note` explains.
        goal: at most this; None where there is no goal.
        unit: of figure and goal; "×" for a ratio.
        spread: the quartiles.
        note: what a reader needs to know.
        column: the column, where a table has several.
        at_least: the goal is a lower bound.
        raw: every ratio or sample that the figure is the median of.
    """

    table: str
    what: str
    figure: float | None
    goal: float | None = None
    unit: str = "×"
    spread: tuple[float, float] | None = None
    note: str = ""
    column: str = ""
    at_least: bool = False
    raw: tuple[float, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Its place: a later row of the same key takes it."""
        return self.table, self.what, self.column

    @property
    def verdict(self) -> str:
        """In one word."""
        if self.figure is None:
            return "skipped"
        if self.goal is None:
            return "—"
        met = self.figure >= self.goal if self.at_least else self.figure <= self.goal
        return "ok" if met else "MISS"


Kept = dict[str, Any]
Document = dict[str, Any]


def merged(
    old: Document, rows: Iterable[Row], about: Mapping[str, Any], part: str, *, last: bool = False
) -> Document:
    """The document with these rows in the places of older ones, or behind them; all behind if last.

    Each row keeps what it was measured with: a part can be run again alone.
    """
    run = {key: about[key] for key in ("date", "commit", "versions", "how")}
    new = {row.key: {**asdict(row), "verdict": row.verdict, "part": part, **run} for row in rows}
    kept: dict[tuple[str, ...], Kept] = {
        _key(one): one for one in old.get("rows", []) if not (last and _key(one) in new)
    }
    return {**about, "rows": list({**kept, **new}.values())}


def rows_of(document: Document, part: str | None = None) -> list[Row]:
    """The rows of a document, of one part or of all."""
    names = {field.name for field in fields(Row)}
    found = []
    for one in document.get("rows", []):
        if part in {None, one["part"]}:
            plain = {key: value for key, value in one.items() if key in names}
            spread = plain["spread"] and tuple(plain["spread"])
            found.append(Row(**{**plain, "spread": spread, "raw": tuple(plain["raw"])}))
    return found


def read(path: Path) -> Document:
    """The document of earlier runs; an empty one if there are none."""
    return json.loads(path.read_text()) if path.exists() else {}


def write(document: Document, path: Path) -> None:
    """Keep the document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _key(kept: Kept) -> tuple[str, str, str]:
    return kept["table"], kept["what"], kept["column"]
