"""`python -m benchmarks [PART ...]`: run parts, keep their rows, print the tables.

PART is the name of a part or of a group of them; all by default. What other parts and other nets
had stays in the file.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.given import Given
from benchmarks.machine import about
from benchmarks.parts import GROUPS, PARTS
from benchmarks.rows import merged, read, rows_of, write
from benchmarks.tables import line, show


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 1 if a part itself broke. A miss is a figure like any other."""
    given, parts, path = _understood(arguments)
    broken = 0
    for part in parts:
        try:
            run(part, given, path)
        except Exception:  # the other parts are still worth running
            traceback.print_exc()
            broken += 1
    show(row for part in parts for row in rows_of(read(path), part))
    print(f"JSON: {path}; the page: python -m benchmarks.report")
    return int(broken > 0)


def run(part: str, given: Given, path: Path) -> None:
    """Run one part. What it finds is kept at once, so that nothing is lost with a run that ends."""
    module, now = importlib.import_module(f"benchmarks.parts.{part}"), about(given)
    for row in module.rows(given):
        print(line(row), flush=True)
        write(merged(read(path), [row], now, part), path)
    if hasattr(module, "summary"):
        summary = module.summary(rows_of(read(path), part))
        write(merged(read(path), summary, now, part, last=True), path)


def _understood(arguments: Sequence[str] | None) -> tuple[Given, list[str], Path]:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join((*GROUPS, *PARTS)))
    parser.add_argument("--rounds", type=int, default=Given.rounds)
    parser.add_argument("--threads", type=int, nargs="+", default=Given.threads)
    parser.add_argument("--nets", nargs="+", default=(), metavar="NET", help="of the zoo")
    parser.add_argument("--cpu", action="store_true", help="processor time; with --threads 1")
    parser.add_argument("--folder", type=Path, default=Given.folder)
    got = parser.parse_args(arguments)
    parts = list(_parts(got.parts or GROUPS))
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    given = Given(got.rounds, tuple(got.threads), tuple(got.nets), got.cpu, got.folder)
    return given, parts, got.folder / "bench.json"


def _parts(words: Sequence[str] | dict[str, tuple[str, ...]]) -> Iterator[str]:
    for word in words:
        yield from GROUPS.get(word, (word,))


if __name__ == "__main__":
    sys.exit(main())
