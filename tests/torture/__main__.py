"""`python -m torture [PART ...] [--minutes M] [--json FILE]`: run parts, print the table."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from torture.parts import PARTS
from torture.plan import Plan
from torture.report import Clock, Row, missed, show, write


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 1 if any row is not as it should be."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--minutes", type=float, help="about how long each part may take")
    parser.add_argument("--json", type=Path, default=Path("build/torture.json"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="throw the bombs whose names have this in them")
    parser.add_argument("--keep", action="store_true", help="keep data folders and logs")
    given = parser.parse_args(arguments)
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    plan = Plan(folder, given.minutes, given.seed, given.only)
    rows: list[Row] = []
    try:
        for name in given.parts or PARTS:
            for row in rows_of(name, plan):
                print(f"[{row.verdict}] {row.name}: {row.figure}", flush=True)
                rows.append(row)
            write(rows, given.json)
    finally:
        show(rows)
        print(f"JSON: {given.json}" + (f"; logs: {folder}" if given.keep else ""))
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return int(missed(rows))


def rows_of(name: str, plan: Plan) -> Iterator[Row]:
    """The rows of one part; a part that fails to run is a miss of its own."""
    clock = Clock()
    try:
        yield from importlib.import_module(f"torture.parts.{name}").run(plan)
    except Exception as error:
        traceback.print_exc()
        yield Row(f"{name}: the part itself", repr(error)[:300], "runs to its end", False, clock())


if __name__ == "__main__":
    sys.exit(main())
