"""The time of a gradient, over onnxruntime's own forward pass and over PyTorch eager.

"All" is the inputs and what torch calls parameters. What it does not differentiate, such as bounds
of a clamp and running statistics, is constant in the files, though its exporter makes initializers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

import portgrad
from benchmarks import sides
from benchmarks.apart import apart
from benchmarks.given import Given
from benchmarks.rows import MEDIAN, Row
from benchmarks.turns import Times, by_turns, ratio
from benchmarks.zoo import ZOO
from benchmarks.zoo.files import exported

FORWARD = "The gradient in forward passes"
EAGER = "The gradient over PyTorch eager"
# None above, and the median: of the gradient at the inputs and at everything.
WORST = {FORWARD: {"inputs": 3.0, "all": 4.5}, EAGER: {"inputs": 1.0, "all": 1.0}}
MEDIANS = {FORWARD: {"inputs": 2.3, "all": 3.5}, EAGER: {"inputs": 0.75, "all": 0.75}}
RECURRENT = {"inputs": 5.0, "all": 6.0}  # the operator gives out no gates: they are made again
OTHERS = {FORWARD: "forward", EAGER: "eager"}


def rows(given: Given) -> Iterator[Row]:
    """A row for each net, number of threads and `wrt`, in both tables."""
    for name in filter(given.wanted, ZOO):
        path = exported(name, given.folder)
        for threads in given.threads:
            for wrt in sides.WRT:
                yield from _rows(name, wrt, threads, apart(_times, name, path, wrt, threads, given))


def summary(found: Sequence[Row]) -> Iterator[Row]:
    """The median of each column."""
    for table, goals in MEDIANS.items():
        some = [row for row in found if row.table == table and row.what != MEDIAN]
        for column in dict.fromkeys(row.column for row in some):
            figures = sorted(row.figure for row in some if row.column == column and row.figure)
            goal = goals[column.partition(",")[0]]
            yield middle(table, column, figures, goal)


def middle(table: str, column: str, figures: list[float], goal: float) -> Row:
    """The row of the median of these figures, with their quartiles."""
    low, median, high = (float(q) for q in np.percentile(figures, [25, 50, 75]))
    return Row(table, MEDIAN, median, goal, spread=(low, high), column=column, raw=tuple(figures))


def titled(what: str, threads: int) -> str:
    """What a column is called."""
    return f"{what}, {threads} thread{'s' * (threads > 1)}"


def _rows(name: str, wrt: str, threads: int, times: Times) -> Iterator[Row]:
    column = titled(wrt, threads)
    for table, other in OTHERS.items():
        found = ratio(times, "gradient", other)
        goal = RECURRENT[wrt] if (name, table) == ("lstm", FORWARD) else WORST[table][wrt]
        yield Row(
            table,
            ZOO[name].title,
            found.median,
            goal,
            spread=found.quartiles,
            column=column,
            raw=found.raw,
        )


def _times(name: str, path: Path, wrt: str, threads: int, given: Given) -> Times:
    torch.set_num_threads(threads)
    specimen = ZOO[name]
    net = portgrad.load(path, threads=threads)
    calls = {
        "gradient": sides.gradient(specimen, path, wrt, net),
        "forward": sides.forward(specimen, path, threads),
        "eager": sides.Torch(specimen, wrt),
    }
    return by_turns(calls, given.rounds, given.clock)
