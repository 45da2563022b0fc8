"""What each derivative costs, in forward passes of the same net on the same data.

Ten cotangents are as many gradients at the inputs: in one stack, and in a call for each. "By
example" gives each example's gradient at the parameters, beside a call for each. Nets of ReLUs
alone have second derivatives of zero, which cost next to nothing: `hvp` is of the LSTM alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import portgrad
from benchmarks import sides
from benchmarks.apart import apart
from benchmarks.given import Given
from benchmarks.parts.speed import titled
from benchmarks.rows import Row
from benchmarks.turns import Call, Times, by_turns, ratio
from benchmarks.zoo import ZOO, Specimen
from benchmarks.zoo.files import exported

TABLE = "What each derivative costs, in forward passes"
MOST_ROUNDS, MANY = 3, 10
CURVED = ("lstm",)  # nets with second derivatives
BY_EXAMPLE = ("mlp", "resnet50")
NETS = (*BY_EXAMPLE, *CURVED)
FORWARD = "forward"


def rows(given: Given) -> Iterator[Row]:
    """A column for each net."""
    for name in filter(given.wanted, NETS):
        threads = given.threads[0]
        times = apart(_times, name, exported(name, given.folder), threads, given)
        column = titled(ZOO[name].title, threads)
        for what in times:
            if what != FORWARD:
                found = ratio(times, what, FORWARD)
                place = {"spread": found.quartiles, "column": column, "raw": found.raw}
                yield Row(TABLE, what, found.median, **place)


def _times(name: str, path: Path, threads: int, given: Given) -> Times:
    specimen = ZOO[name]
    calls = _calls(specimen, portgrad.load(path, threads=threads))
    forward = {FORWARD: sides.forward(specimen, path, threads)}
    return by_turns({**calls, **forward}, min(given.rounds, MOST_ROUNDS), given.clock)


def _calls(specimen: Specimen, net: portgrad.Net) -> dict[str, Call]:
    data, draw = sides.arrays(specimen), np.random.default_rng(0).standard_normal
    way = {port: draw(x.shape).astype(np.float32) for port, x in data.items()}
    shape = net.evaluate(data)["y"].shape
    stack = draw((MANY, *shape)).astype(np.float32)
    calls: dict[str, Call] = {
        "gradient, inputs": lambda: net.gradient(data),
        "gradient, all": lambda: net.gradient(data, wrt="all"),
        "jvp": lambda: net.jvp(data, tangents=way),
        "10 cotangents in a stack": lambda: net.gradient(
            data, output_gradients={"y": stack}, stacked=True
        ),
        "10 cotangents in 10 calls": lambda: [
            net.gradient(data, output_gradients={"y": seed}) for seed in stack
        ],
    }
    if specimen.name in CURVED:
        calls["hvp"] = lambda: net.hvp(data, tangents=way)
    if specimen.name in BY_EXAMPLE:
        calls |= _by_example(net, data)
    return calls


def _by_example(net: portgrad.Net, data: dict[str, np.ndarray]) -> dict[str, Call]:
    (port, x), *_ = data.items()
    alone = [{port: x[i : i + 1]} for i in range(len(x))]
    return {
        "gradient, parameters": lambda: net.gradient(data, wrt="parameters"),
        "by example": lambda: net.gradient(data, wrt="parameters", reduction="per_example"),
        "a call for each example": lambda: [net.gradient(x, wrt="parameters") for x in alone],
    }
