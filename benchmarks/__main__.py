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

from benchmarks.given import REMEDY, Given
from benchmarks.machine import about
from benchmarks.parts import GROUPS, PARTS, says
from benchmarks.rows import merged, read, rows_of, write
from benchmarks.tables import line, show


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 1 if a part could not run. A miss is a figure like any other."""
    given, parts, path = _understood(arguments)
    broken = 0
    for number, part in enumerate(parts, 1):
        print(f"{number} of {len(parts)}, {part}: {says(part).splitlines()[0]}", flush=True)
        try:
            run(part, given, path)
        except ModuleNotFoundError as missing:
            print(f"{part} cannot run: {missing.name} is not installed. {REMEDY}")
            broken += 1
        except Exception:  # the other parts are still worth running
            traceback.print_exc()
            broken += 1
    show(row for part in parts for row in rows_of(read(path), part))
    if path.exists():
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
    parser.add_argument("--rounds", type=_count, default=Given.rounds)
    parser.add_argument("--threads", type=_count, nargs="+", default=Given.threads)
    parser.add_argument("--nets", nargs="+", default=(), metavar="NET", help="of the zoo")
    parser.add_argument("--cpu", action="store_true", help="processor time; with --threads 1")
    parser.add_argument("--folder", type=Path, default=Given.folder)
    got = parser.parse_args(arguments)
    parts = list(_parts(got.parts or GROUPS))
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if got.cpu and set(got.threads) != {1}:
        parser.error("--cpu adds up the time of all threads: say --threads 1 too")
    _check_nets(parser, got.nets)
    given = Given(got.rounds, tuple(got.threads), tuple(got.nets), got.cpu, got.folder)
    return given, parts, got.folder / "bench.json"


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _check_nets(parser: argparse.ArgumentParser, nets: Sequence[str]) -> None:
    if not nets:
        return
    try:
        from benchmarks.zoo import ZOO  # noqa: PLC0415 (torch)
    except ModuleNotFoundError as missing:
        parser.error(f"--nets: {missing.name} is not installed. {REMEDY}")
    unknown = [name for name in nets if name not in ZOO]
    if unknown:
        parser.error(f"no such net: {', '.join(unknown)}; there are {', '.join(ZOO)}")


def _parts(words: Sequence[str] | dict[str, tuple[str, ...]]) -> Iterator[str]:
    for word in words:
        yield from GROUPS.get(word, (word,))


if __name__ == "__main__":
    sys.exit(main())
