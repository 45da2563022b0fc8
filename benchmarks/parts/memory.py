"""Peak memory of the full gradient, over PyTorch's: one process each.

What is resident at most during two gradients, less what is resident before: everything is imported
then, the net is loaded, and a tiny net has been differentiated.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

import portgrad
from benchmarks import sides
from benchmarks.apart import apart
from benchmarks.given import Given
from benchmarks.parts.start import warm
from benchmarks.rows import Row
from benchmarks.turns import Call, spread
from benchmarks.zoo import ZOO
from benchmarks.zoo.files import exported

TABLE = "Peak memory of the full gradient over PyTorch's"
GOAL = 1.0
THREADS = 2
LEAST = 8 * 2**20  # below that it is the runtimes' own, not the net's
MOST_ROUNDS = 3


def rows(given: Given) -> Iterator[Row]:
    """A row for each net."""
    for name in filter(given.wanted, ZOO):
        path = exported(name, given.folder)
        times = range(min(given.rounds, MOST_ROUNDS))
        pairs = [(apart(_ours, name, path), apart(_theirs, name)) for _ in times]
        yield _row(name, pairs)


def _row(name: str, pairs: list[tuple[int, int]]) -> Row:
    found = spread([ours / theirs for ours, theirs in pairs])
    ours, theirs = (spread([pair[i] / 2**20 for pair in pairs]).median for i in (0, 1))
    note = f"{ours:,.0f} MiB, PyTorch {theirs:,.0f} MiB"
    title = ZOO[name].title
    if theirs * 2**20 < LEAST:
        return Row(TABLE, title, None, GOAL, note=f"too small to tell: {note}")
    return Row(TABLE, title, found.median, GOAL, spread=found.quartiles, note=note, raw=found.raw)


def _ours(name: str, path: Path) -> int:
    specimen = ZOO[name]
    warm()
    net = portgrad.load(path.read_bytes(), threads=THREADS)
    return peak(sides.gradient(specimen, path, "all", net))


def _theirs(name: str) -> int:
    torch.set_num_threads(THREADS)
    torch.nn.Linear(16, 16)(torch.ones(4, 16)).sum().backward()
    return peak(sides.Torch(ZOO[name], "all"))


def peak(call: Call) -> int:
    """Bytes that were resident at most during two calls, beyond those that are now.

    The first call compiles, where something is compiled; the second has what the first kept.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    call()
    call()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
