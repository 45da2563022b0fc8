"""`python -m benchmarks.report [JSON [PAGE]]`: the page of the docs, from what was kept."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.given import ROOT, Given
from benchmarks.parts import PARTS
from benchmarks.plots import Picture, drawn
from benchmarks.rows import Document, Row, read, rows_of
from benchmarks.tables import by_table, markdown, notes

HEAD = """# Benchmarks

What `make bench` measures, with the goal beside each figure. A figure is a ratio of two things that
ran by turns in the same process, or against the same server: the median, with its quartiles in
brackets. What misses its goal is **bold**; [why](missed-goals.md) is a page of its own. How to run
it, and what each part does, is told in [the folder's own page](../../benchmarks/README.md).
"""
PICTURES = ROOT / "docs" / "pictures"


def page(document: Document, pictures: list[Picture]) -> str:
    """The page as Markdown."""
    return "\n".join(_lines(document, pictures))


def _lines(document: Document, pictures: list[Picture]) -> Iterator[str]:
    yield HEAD
    yield from _about(document)
    drawings = {picture.table: picture for picture in pictures}
    for part in PARTS:
        for number, (title, rows) in enumerate(by_table(rows_of(document, part)).items()):
            yield f"\n## {title}\n"
            if not number:  # one text for all tables of a part
                yield f"{_says(part)}\n"
            yield from markdown(rows)
            if title in drawings:
                yield f"\n![{drawings[title].says}](../pictures/{drawings[title].path.name})"
            told = list(notes(rows))
            yield from ["", *told] if told else []
    yield ""


def _says(part: str) -> str:
    """The part's own first lines: read, for its packages need not be here."""
    source = ROOT / "benchmarks" / "parts" / f"{part}.py"
    return ast.get_docstring(ast.parse(source.read_text())) or ""


def _about(document: Document) -> Iterator[str]:
    rows = document["rows"]
    dates = sorted({row["date"].partition(" ")[0] for row in rows})
    commits = list(dict.fromkeys(row["commit"] for row in rows if row["commit"]))
    versions = {name: found for row in rows for name, found in row["versions"].items()}
    machine = f"{document['cpu']}, {document['cores']} cores, {document['memory']}"
    yield "| | |"
    yield "| --- | --- |"
    yield f"| date | {' to '.join(dict.fromkeys([dates[0], dates[-1]]))} |"
    yield f"| machine | {machine}; Linux {document['kernel']}, Python {document['python']} |"
    yield f"| versions | {', '.join(f'{name} {found}' for name, found in versions.items())} |"
    yield f"| measured | {'; '.join(dict.fromkeys(row['how'] for row in rows))} |"
    yield f"| goals | {verdicts(rows_of(document))} |"
    yield f"| of Portgrad | {', '.join(commits)} |"


def verdicts(rows: list[Row]) -> str:
    """How many goals are met, in words."""
    with_goal = [row for row in rows if row.verdict in {"ok", "MISS"}]
    missed = sum(row.verdict == "MISS" for row in with_goal)
    return f"{len(with_goal) - missed} of {len(with_goal)} goals are met"


def main(arguments: list[str]) -> None:
    """Write the page and its pictures."""
    source = Path(arguments[0]) if arguments else Given.folder / "bench.json"
    target = Path(arguments[1]) if arguments[1:] else ROOT / "docs" / "reference" / "benchmarks.md"
    document = read(source)
    pictures = list(drawn(rows_of(document), PICTURES))
    target.write_text(page(document, pictures))
    print(f"{target}: {verdicts(rows_of(document))}")


if __name__ == "__main__":
    main(sys.argv[1:])
