"""How the time to compile grows with the net: from loading to a gradient graph that can run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

import portgrad
from benchmarks.apart import apart
from benchmarks.given import Given
from benchmarks.parts.start import chain
from benchmarks.rows import Row

TABLE = "Compiling, by the size of the net"
SIZES = (1250, 2500, 5000, 10000, 20000)
# Time as a power of the number of nodes: 1 is linear, and what is measured strays a little.
EXPONENT = 1.1


def rows(given: Given) -> Iterator[Row]:
    """The time for each node at each size, and how it grows."""
    if given.nets:
        return
    times = {}
    for nodes in SIZES:
        times[nodes] = apart(_seconds, nodes)
        per_node = {"unit": "ms a node", "note": f"{times[nodes]:.2f} s in all"}
        yield Row(TABLE, f"{nodes:,} nodes", 1e3 * times[nodes] / nodes, **per_node)
    large = [nodes for nodes in SIZES if nodes >= 2500]
    exponent, _ = np.polyfit(np.log(large), np.log([times[nodes] for nodes in large]), 1)
    note = f"of {large[0]:,} to {large[-1]:,} nodes; 1 is linear"
    what = "exponent of the growth"
    yield Row(TABLE, what, float(exponent), EXPONENT, unit="", note=note, column="")


def _seconds(nodes: int) -> float:
    """Load, and the first gradient at everything: all but a few milliseconds of it compiles.

    Of the processor: it is the work of one thread.
    """
    x = {"x": np.ones((1, 16), np.float32)}
    portgrad.load(chain(3), threads=1).gradient(x, wrt="all")
    model = chain(nodes)
    start = time.process_time()
    portgrad.load(model, threads=1).gradient(x, wrt="all")
    return time.process_time() - start
