"""How the time to compile grows with the net: from loading to a gradient graph that can run.

Of the processor, as it is the work of one thread. Beside it stands what of that is Portgrad's own,
without the sessions that onnxruntime makes of the graphs, and what onnxruntime takes for a session
of the net alone, without any gradient.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime

import portgrad
from benchmarks.apart import apart
from benchmarks.given import Given
from benchmarks.parts.start import chain
from benchmarks.rows import Row

TABLE = "Compiling, by the size of the net"
SIZES = (1250, 2500, 5000, 10000, 20000)
FROM = 2500  # nodes from which on the growth is taken: below that, what any net takes counts
# Time as a power of the number of nodes: 1 is linear, and what is measured strays a little.
EXPONENT = 1.1
ALL, OWN, RUNTIME = "in all", "Portgrad's own", "onnxruntime's session of the net"


def rows(given: Given) -> Iterator[Row]:
    """The time for each node at each size, and how it grows."""
    if given.nets:
        return
    times: dict[int, dict[str, float]] = {}
    for nodes in SIZES:
        times[nodes] = apart(_seconds, nodes)
        for column, seconds in times[nodes].items():
            told = {"unit": "ms a node", "note": f"{seconds:.2f} s", "column": column}
            yield Row(TABLE, f"{nodes:,} nodes", 1e3 * seconds / nodes, **told)
    large = [nodes for nodes in SIZES if nodes >= FROM]
    for column in (ALL, OWN, RUNTIME):
        seconds = [times[nodes][column] for nodes in large]
        exponent, _ = np.polyfit(np.log(large), np.log(seconds), 1)
        note = f"of {large[0]:,} to {large[-1]:,} nodes; 1 is linear"
        place = {"unit": "", "note": note, "column": column}
        goal = EXPONENT if column == ALL else None
        yield Row(TABLE, "exponent of the growth", float(exponent), goal, **place)


def _seconds(nodes: int) -> dict[str, float]:
    """Load, and the first gradient at everything: all but a few milliseconds of it compiles."""
    x = {"x": np.ones((1, 16), np.float32)}
    portgrad.load(chain(3), threads=1).gradient(x, wrt="all")
    model = chain(nodes)
    start = time.process_time()
    onnxruntime.InferenceSession(model, _one_thread(), providers=["CPUExecutionProvider"])
    alone = time.process_time() - start
    with _Sessions() as sessions:
        start = time.process_time()
        portgrad.load(model, threads=1).gradient(x, wrt="all")
        whole = time.process_time() - start
    return {ALL: whole, OWN: whole - sessions.seconds, RUNTIME: alone}


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


class _Sessions:
    """What the making of sessions takes meanwhile, in seconds of the processor."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> _Sessions:
        outer, self._made = self, onnxruntime.InferenceSession

        class Timed(onnxruntime.InferenceSession):
            def __init__(self, *given: Any, **options: Any) -> None:
                start = time.process_time()
                super().__init__(*given, **options)
                outer.seconds += time.process_time() - start

        onnxruntime.InferenceSession = Timed
        return self

    def __exit__(self, *_: object) -> None:
        onnxruntime.InferenceSession = self._made
