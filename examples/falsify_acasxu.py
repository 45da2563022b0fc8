"""Look for a counterexample to a property of a net: projected gradient descent over the service.

The property is a VNN-LIB file: a box of inputs, and conditions on the outputs that must not hold
together there. From a few hundred random starts, all in one batch, each step goes down the gradient
of the condition that is furthest from holding, and back into the box. What is found is checked by
the forward pass alone.

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
Tree = str | list["Tree"]


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
            For each row of `y` the largest a·y - b of the nearest alternative, and that row's a.
        """
        best, way = np.full(len(y), np.inf, np.float32), np.zeros_like(y)
        for a, b in self.unsafe:
            margins = y @ a.T - b
            worst = margins.argmax(axis=1)
            margin = margins[np.arange(len(y)), worst]
            nearer = margin < best
            best[nearer], way[nearer] = margin[nearer], a[worst[nearer]]
        return best, way


@dataclass(frozen=True)
class Found:
    """What a search gave: a counterexample or None, and what it cost."""

    point: Array | None
    output: Array | None
    starts: int
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


def search(
    net: Net, wanted: Property, *, starts: int = 256, steps: int = 60, seed: int = 0
) -> Found:
    """Projected gradient descent with Adam's step sizes, from random points of the box.

    The batch holds all starts; the cotangent imposed at the output is, for each of them, the
    condition that is furthest from holding there.
    """
    [port], [out] = net.inputs, net.outputs
    shape = (-1, *(int(size) for size in port.shape[1:]))  # type: ignore[index]
    begun, calls = time.perf_counter(), 0
    rng = np.random.default_rng(seed)
    width = wanted.high - wanted.low
    x = (wanted.low + width * rng.random((starts, len(width)))).astype(np.float32)
    moment, square = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, steps + 1):
        y = net.evaluate(x.reshape(shape))[out.name].reshape(starts, -1)
        margin, way = wanted.violation(y)
        calls += 1
        for index in np.flatnonzero(margin <= 0):
            # alone, so that nothing of the batch can be what makes it a counterexample
            alone = net.evaluate(x[index : index + 1].reshape(shape))[out.name].reshape(1, -1)
            calls += 1
            if wanted.violation(alone)[0][0] <= 0:
                return Found(x[index], alone[0], starts, step, calls, time.perf_counter() - begun)
        found = net.gradient(x.reshape(shape), output_gradients={out.name: way.reshape(y.shape)})
        calls += 1
        slope = found[port.name].reshape(x.shape) * width  # the box as a cube
        moment = 0.9 * moment + 0.1 * slope
        square = 0.99 * square + 0.01 * slope**2
        pace = 0.05 * moment / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-12)
        x = np.clip(x - width * pace, wanted.low, wanted.high).astype(np.float32)
    return Found(None, None, starts, steps, calls, time.perf_counter() - begun)


def report(found: Found) -> str:
    """What was found, for people."""
    cost = f"{found.starts} starts, {found.steps} steps, {found.calls} calls, {found.seconds:.2f} s"
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
    parser.add_argument("--steps", type=int, default=60)
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
