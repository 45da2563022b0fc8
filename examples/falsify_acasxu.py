"""Look for a counterexample to a property of a net: projected gradient descent over the service.

The property is a VNN-LIB file: a box of inputs, and conditions on the outputs that must not hold
together there. From a few hundred random starts, all in one batch, each step goes down the gradient
of the conditions that do not hold yet, and back into the box. Starts that are unsafe by luck are
left out, so that what is found is the descent's. It is checked by the forward pass alone.

    python examples/falsify_acasxu.py --net acasxu_2_1.onnx --property acas_prop_2.vnnlib
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from portgrad_client import Client, Net

Array = np.ndarray[Any, np.dtype[np.float32]]
PACE = 0.02  # of the box in one step


@dataclass
class Property:
    """A box of inputs, and what makes an output of it unsafe.

    Attributes:
        low, high: bounds of each input.
        unsafe: alternatives; each is a list of rows (a, b), and a point is unsafe where one of the
            alternatives has a·y <= b for all of its rows.
    """

    low: Array
    high: Array
    unsafe: list[tuple[Array, Array]] = field(default_factory=list)

    def violation(self, y: Array) -> tuple[Array, Array]:
        """How far each output is from unsafe (at most 0 where it is), and the way there.

        Returns:
            For each row of `y` the largest a·y - b of the nearest alternative, and the gradient by
            y of the total of what its conditions lack.
        """
        best, way = np.full(len(y), np.inf, np.float32), np.zeros_like(y)
        for a, b in self.unsafe:
            margins = y @ a.T - b
            nearer = margins.max(axis=1) < best
            best[nearer] = margins.max(axis=1)[nearer]
            way[nearer] = ((margins > 0).astype(np.float32) @ a)[nearer]
        return best, way


@dataclass(frozen=True)
class Found:
    """What a search gave: a counterexample or None, and what it cost."""

    point: Array | None
    output: Array | None
    starts: int
    lucky: int
    steps: int
    calls: int
    seconds: float


def parse(text: str) -> Property:
    """A property in the part of VNN-LIB that boxes and linear conditions need.

    Raises:
        ValueError: something else is asserted.
    """
    bounds: dict[int, list[float]] = {}
    rows: list[list[tuple[dict[int, float], float]]] = [[]]
    outputs = 0
    for command in _trees(text):
        if command[0] == "declare-const":
            kind, index = _variable(command[1])
            if kind == "X":
                bounds[index] = [-np.inf, np.inf]
            else:
                outputs = max(outputs, index + 1)
        elif command[0] == "assert":
            alternatives = _alternatives(command[1], bounds)
            rows = [old + new for old in rows for new in alternatives]
    low, high = np.array([bounds[i] for i in sorted(bounds)], np.float32).T
    return Property(low, high, [_matrix(conditions, outputs) for conditions in rows])


def _trees(text: str) -> Iterator[Any]:
    tokens = re.findall(r"[()]|[^\s()]+", re.sub(r";.*", "", text))
    stack: list[list[Any]] = [[]]
    for token in tokens:
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    yield from stack[0]


def _variable(token: str) -> tuple[str, int]:
    found = re.fullmatch(r"([XY])_(\d+)", token)
    if not found:
        raise ValueError(f"{token} is neither an input X_i nor an output Y_i")
    return found[1], int(found[2])


def _alternatives(
    tree: Any, bounds: dict[int, list[float]]
) -> list[list[tuple[dict[int, float], float]]]:
    """A condition as alternatives of rows (coefficients of the outputs, right-hand side)."""
    operator, *parts = tree
    if operator == "or":
        return [rows for part in parts for rows in _alternatives(part, {})]
    if operator == "and":
        joined: list[list[tuple[dict[int, float], float]]] = [[]]
        for part in parts:
            joined = [old + new for old in joined for new in _alternatives(part, bounds)]
        return joined
    if operator not in {"<=", ">="}:
        raise ValueError(f"{operator} is not among <=, >=, and, or")
    small, large = parts if operator == "<=" else reversed(parts)
    row, right, inputs = {}, 0.0, []
    for side, sign in ((small, 1.0), (large, -1.0)):
        if not side[0].isalpha():
            right -= sign * float(side)
        elif _variable(side)[0] == "Y":
            row[_variable(side)[1]] = sign
        else:
            inputs.append((_variable(side)[1], sign))
    if not inputs:
        return [[(row, right)]]
    [(index, sign)] = inputs
    if row or index not in bounds:
        raise ValueError(f"inputs are bounded by numbers, outside of alternatives: {tree}")
    side, choose = (1, min) if sign > 0 else (0, max)
    bounds[index][side] = choose(bounds[index][side], right * sign)
    return [[]]


def _matrix(
    conditions: Sequence[tuple[dict[int, float], float]], outputs: int
) -> tuple[Array, Array]:
    a = np.zeros((len(conditions), outputs), np.float32)
    for index, (row, _) in enumerate(conditions):
        for output, sign in row.items():
            a[index, output] = sign
    return a, np.array([right for _, right in conditions], np.float32)


class Search:
    """Projected gradient descent with Adam's step sizes on one net and property.

    Args:
        net: a net with one input and one output.
        wanted: what to violate.
    """

    def __init__(self, net: Net, wanted: Property) -> None:
        [self.port], [self.out] = net.inputs, net.outputs
        self.net, self.wanted = net, wanted
        self.shape = (-1, *(int(size) for size in self.port.shape[1:]))  # type: ignore[index]
        self.calls = 0

    def outputs(self, x: Array) -> Array:
        """The net's outputs, a row for each point."""
        self.calls += 1
        found: Array = self.net.evaluate(x.reshape(self.shape))[self.out.name]
        return found.reshape(len(x), -1)

    def slope(self, x: Array, way: Array) -> Array:
        """The gradient by each point of way·y."""
        self.calls += 1
        seeds = {self.out.name: way}
        found: Array = self.net.gradient(x.reshape(self.shape), output_gradients=seeds)[
            self.port.name
        ]
        return found.reshape(x.shape)

    def safe_starts(self, count: int, rng: np.random.Generator) -> tuple[Array, int]:
        """Random points of the box that are not unsafe yet, and how many were."""
        low, width = self.wanted.low, self.wanted.high - self.wanted.low
        x, lucky = np.zeros((0, len(low)), np.float32), 0
        while len(x) < count:
            drawn = (low + width * rng.random((count - len(x), len(low)))).astype(np.float32)
            unsafe = self.wanted.violation(self.outputs(drawn))[0] <= 0
            x, lucky = np.concatenate([x, drawn[~unsafe]]), lucky + int(unsafe.sum())
        return x, lucky

    def run(self, starts: int, steps: int, seed: int) -> Found:
        """Descend from random starts until one of them is unsafe."""
        begun = time.perf_counter()
        x, lucky = self.safe_starts(starts, np.random.default_rng(seed))
        width = self.wanted.high - self.wanted.low  # the box as a cube
        moment, square = np.zeros_like(x), np.zeros_like(x)
        point, output, step = None, None, 0
        for step in range(1, steps + 1):
            margin, way = self.wanted.violation(self.outputs(x))
            point, output = self.first_unsafe(x[margin <= 0])
            if point is not None:
                break
            slope = self.slope(x, way) * width
            moment = 0.9 * moment + 0.1 * slope
            square = 0.99 * square + 0.01 * slope**2
            pace = moment / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-12)
            moved = x - PACE * width * pace
            x = np.clip(moved, self.wanted.low, self.wanted.high).astype(np.float32)
        spent = time.perf_counter() - begun
        return Found(point, output, starts, lucky, step, self.calls, spent)

    def first_unsafe(self, points: Array) -> tuple[Array | None, Array | None]:
        """The first point that is unsafe when it is evaluated alone, outside of any batch."""
        for point in points:
            output = self.outputs(point[None])
            if self.wanted.violation(output)[0][0] <= 0:
                return point, output[0]
        return None, None


def search(
    net: Net, wanted: Property, *, starts: int = 256, steps: int = 100, seed: int = 0
) -> Found:
    """Look for a counterexample; see `Search`."""
    return Search(net, wanted).run(starts, steps, seed)


def report(found: Found) -> str:
    """What was found, for people."""
    cost = (
        f"{found.starts} starts ({found.lucky} that were unsafe by luck left out), "
        f"{found.steps} steps, {found.calls} calls, {found.seconds:.2f} s"
    )
    if found.point is None or found.output is None:
        return f"No counterexample was found: {cost}."
    lines = [f"A counterexample, checked by the forward pass alone: {cost}."]
    lines += [f"  X_{i} = {value:.9g}" for i, value in enumerate(found.point)]
    lines += [f"  Y_{i} = {value:.9g}" for i, value in enumerate(found.output)]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Falsify a property of a net.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="a Portgrad service")
    parser.add_argument("--net", type=Path, required=True, help="the ONNX file")
    parser.add_argument("--property", type=Path, required=True, help="the VNN-LIB file")
    parser.add_argument("--starts", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    with Client(given.url) as client:
        found = search(
            client.upload(given.net),
            parse(given.property.read_text()),
            starts=given.starts,
            steps=given.steps,
            seed=given.seed,
        )
    print(report(found))
    return 0 if found.point is not None else 1


if __name__ == "__main__":
    sys.exit(main())
