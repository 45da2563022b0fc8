"""`python -m benchmarks.report [JSON [PAGE]]`: the page of the docs, from what was kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.given import REMEDY, ROOT, Given
from benchmarks.parts import PARTS, says
from benchmarks.plots import Picture, drawn
from benchmarks.rows import Document, Row, read, rows_of
from benchmarks.tables import by_table, in_short, markdown, notes

HEAD = """# Benchmarks

What `make bench` measures, with the goal beside each figure. A ratio is of two things that ran by
turns in the same process, or against the same server: the median, with its quartiles in brackets.
What misses its goal is **bold**; [why](missed-goals.md) is a page of its own. How to run it is told
in [the folder's own page](../../benchmarks/README.md).

## At a glance
"""
PICTURES = ROOT / "docs" / "pictures"
MOST_NOTES = 4  # more are folded away


def page(document: Document, pictures: list[Picture]) -> str:
    """The page as Markdown."""
    return "\n".join(_lines(document, pictures))


def _lines(document: Document, pictures: list[Picture]) -> Iterator[str]:
    yield HEAD
    yield from _glance(document)
    yield from _about(document)
    drawings = {picture.table: picture for picture in pictures}
    for part in PARTS:
        for number, (title, rows) in enumerate(by_table(rows_of(document, part)).items()):
            yield f"\n## {title}\n"
            if not number:  # one text for all tables of a part
                yield f"{says(part)}\n"
            yield from markdown(rows)
            if title in drawings:
                yield f"\n![{drawings[title].says}](../pictures/{drawings[title].path.name})"
            yield f"\n*{_measured(document, title)}*"
            yield from _notes(rows)
    yield ""


def _glance(document: Document) -> Iterator[str]:
    """A line for each table: its figures in short, and how many of its goals are met."""
    yield f"**{verdicts(rows_of(document))}.**\n"
    yield "| | figures (and goals) | goals met |"
    yield "| --- | --- | ---: |"
    for part in PARTS:
        for title, rows in by_table(rows_of(document, part)).items():
            missed, goals = _goals(rows)
            met = f"{goals - missed} of {goals}" if goals else "—"
            yield f"| [{title}](#{anchor(title)}) | {in_short(rows)} | {met} |"
    yield ""


def _notes(rows: list[Row]) -> Iterator[str]:
    told = list(notes(rows))
    fold = len(told) > MOST_NOTES
    yield from ["\n<details><summary>Notes on single figures</summary>"] * fold
    yield from ["", *told] if told else []
    yield from ["\n</details>"] * fold


def _measured(document: Document, title: str) -> str:
    """When and how the rows of a table were found, and with which commits."""
    rows = [row for row in document["rows"] if row["table"] == title]
    dates, hows, commits = (
        list(dict.fromkeys(row[key] for row in rows if row[key]))
        for key in ("date", "how", "commit")
    )
    days = list(dict.fromkeys(date.partition(" ")[0] for date in sorted(dates)))
    told = [" to ".join(dict.fromkeys([days[0], days[-1]])), "; ".join(hows)]
    return ". ".join([*told, *[f"Portgrad {', '.join(commits)}"] * bool(commits)]) + "."


def anchor(title: str) -> str:
    """What a heading is linked by, as GitHub makes it."""
    kept = "".join(one for one in title.lower() if one.isalnum() or one in " -_")
    return kept.replace(" ", "-")


def _about(document: Document) -> Iterator[str]:
    """The machine, and the versions of what was measured."""
    versions = {name: found for row in document["rows"] for name, found in row["versions"].items()}
    machine = f"{document['cpu']}, {document['cores']} cores, {document['memory']}"
    yield f"Machine: {machine}; Linux {document['kernel']}, Python {document['python']}."
    yield f"Versions: {', '.join(f'{name} {found}' for name, found in versions.items())}."


def verdicts(rows: list[Row]) -> str:
    """How many goals are met, in words."""
    missed, goals = _goals(rows)
    return f"{goals - missed} of {goals} goals are met"


def _goals(rows: list[Row]) -> tuple[int, int]:
    """How many goals are missed, and how many there are; what was skipped has none."""
    with_goal = [row for row in rows if row.verdict in {"ok", "MISS"}]
    return sum(row.verdict == "MISS" for row in with_goal), len(with_goal)


def main(arguments: list[str]) -> None:
    """Write the page and its pictures."""
    source = Path(arguments[0]) if arguments else Given.folder / "bench.json"
    target = Path(arguments[1]) if arguments[1:] else ROOT / "docs" / "reference" / "benchmarks.md"
    document = read(source)
    if not document:
        sys.exit(f"There are no figures at {source} yet: `make bench` measures them.")
    try:
        pictures = list(drawn(rows_of(document), PICTURES))
    except ModuleNotFoundError as missing:
        sys.exit(f"Pictures cannot be drawn: {missing.name} is not installed. {REMEDY}")
    target.write_text(page(document, pictures))
    print(f"{target}: {verdicts(rows_of(document))}")


if __name__ == "__main__":
    main(sys.argv[1:])
