"""`python -m benchmarks.profile NET [inputs|all]`: where the time of a gradient goes, by operator.

By onnxruntime's own profiler, in the sessions that Portgrad makes. Profiling itself costs most
where nodes are many and small.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnxruntime
from rich.console import Console
from rich.table import Table

import portgrad
from benchmarks import sides
from benchmarks.given import Given
from benchmarks.zoo import ZOO
from benchmarks.zoo.files import exported

RUNS = 3
Spent = dict[tuple[str, str], list[float]]


def main(arguments: list[str] | None = None) -> None:
    """Print what each operator takes, the longest first."""
    parser = argparse.ArgumentParser(prog="benchmarks.profile", description=__doc__)
    parser.add_argument("net", choices=ZOO)
    parser.add_argument("wrt", choices=sides.WRT, nargs="?", default="all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--shapes", action="store_true", help="each shape by itself")
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--folder", type=Path, default=Given.folder)
    given = parser.parse_args(arguments)
    path = exported(given.net, given.folder)
    with TemporaryDirectory() as folder:
        _patch(Path(folder))
        net = portgrad.load(path, threads=given.threads)
        call = sides.gradient(ZOO[given.net], path, given.wrt, net)
        for _ in range(RUNS + 1):
            call()
        spent = _spent(_events(), shapes=given.shapes)
    _show(spent, given.top)


_sessions: list[onnxruntime.InferenceSession] = []


def _patch(folder: Path) -> None:
    """Sessions that are made from now on are profiled."""

    class Options(onnxruntime.SessionOptions):
        def __init__(self) -> None:
            super().__init__()
            self.enable_profiling = True
            self.profile_file_prefix = str(folder / "profile")

    class Session(onnxruntime.InferenceSession):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            _sessions.append(self)

    onnxruntime.SessionOptions, onnxruntime.InferenceSession = Options, Session


def _events() -> Iterator[dict[str, Any]]:
    """What kernels did in the session that ran longest, but for its first run."""
    paths = [one.end_profiling() for one in _sessions]  # "" for a session that took no options
    profiles = [json.loads(Path(path).read_text()) for path in paths if path]
    runs = [[e for e in events if e["name"] == "model_run"] for events in profiles]
    totals = [sum(e["dur"] for e in some) for some in runs]
    which = totals.index(max(totals))
    start = sorted(e["ts"] for e in runs[which])[1]
    for event in profiles[which]:
        if event["cat"] == "Node" and event["ts"] >= start and "kernel_time" in event["name"]:
            yield event


def _spent(events: Iterator[dict[str, Any]], *, shapes: bool) -> Spent:
    """Milliseconds of a run, by operator, and by shapes if wanted."""
    spent: Spent = defaultdict(list)
    for event in events:
        told = event["args"]
        shape = json.dumps(told.get("input_type_shape", "")) if shapes else ""
        spent[told["op_name"], shape.replace('"', "").replace("float", "")].append(
            event["dur"] / 1e3 / RUNS
        )
    return spent


def _show(spent: Spent, top: int) -> None:
    total = sum(map(sum, spent.values()))
    table = Table("operator", "shapes", "nodes", "ms", "share", title=f"{total:.1f} ms a run")
    for (operator, shape), times in sorted(spent.items(), key=lambda one: -sum(one[1]))[:top]:
        milliseconds = sum(times)
        cells = (f"{len(times) / RUNS:.0f}", f"{milliseconds:.2f}", f"{milliseconds / total:.1%}")
        table.add_row(operator, shape, *cells)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
