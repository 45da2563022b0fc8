"""The page of exporters has a row for each one that is tested, with its version and nets."""

from __future__ import annotations

from pathlib import Path

from support.exporters.report import rows

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "exporters.md"


def test_the_page_has_each_exporters_row() -> None:
    # The figure in the last cell is measured, and differs from machine to machine.
    written = [line.rpartition(" |")[0].rpartition(" |")[0] + " |" for line in table()]
    assert written == [row for row, _ in rows()]


def table() -> list[str]:
    lines = PAGE.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| exporter"))
    return [line for line in lines[start + 2 :] if line.startswith("|")]
