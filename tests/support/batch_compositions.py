"""Nets in text, composed of random operators over ports x… of one example and shared weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

GRAPHS, LENGTH = 60, 7
Shape = tuple[int, ...]


class Composer:
    """Writes a net as text, one random operator after the other."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.values: list[tuple[str, Shape]] = [("x", (1, 3, 4)), ("x2", (1, 3, 1)), ("w", (1, 4))]
        self.shared: list[tuple[str, Shape]] = [self.values[2]]
        self.lines: list[str] = []

    def text(self) -> str:
        for _ in range(LENGTH):
            name, shape = self.values[self.rng.integers(len(self.values))]
            choices = [step for step in STEPS if len(shape) >= LEAST_RANK.get(step.__name__, 0)]
            choices[self.rng.integers(len(choices))](self, name, shape)
        ports = ["float[1,3,4] x", "float[1,3,1] x2"]
        ports += [f"float{list(shape)} {name}" for name, shape in self.shared]
        return f"({', '.join(ports)}) => ({self.values[-1][0]}) {{ {' '.join(self.lines)} }}"

    def emit(self, call: str, shape: Shape) -> None:
        name = f"v{len(self.values)}"
        self.lines.append(f"{name} = {call}")
        self.values.append((name, shape))

    def weight(self, shape: Shape) -> str:
        self.shared.append((f"w{len(self.shared)}", shape))
        return self.shared[-1][0]

    def axis(self, shape: Shape) -> int:
        return int(self.rng.integers(len(shape)))


def unary(net: Composer, x: str, shape: Shape) -> None:
    net.emit(f"Tanh({x})", shape)


def with_another(net: Composer, x: str, shape: Shape) -> None:
    other, other_shape = net.values[net.rng.integers(len(net.values))]
    try:
        net.emit(f"Mul({x}, {other})", np.broadcast_shapes(shape, other_shape))
    except ValueError:
        net.emit(f"Neg({x})", shape)


def with_a_weight(net: Composer, x: str, shape: Shape) -> None:
    kept = tuple(int(size) if net.rng.random() < 0.5 else 1 for size in shape)
    net.emit(f"Add({x}, {net.weight(kept)})", shape)


def transposed(net: Composer, x: str, shape: Shape) -> None:
    perm = net.rng.permutation(len(shape)).tolist()
    net.emit(f"Transpose<perm = {perm}>({x})", tuple(shape[axis] for axis in perm))


def merged(net: Composer, x: str, shape: Shape) -> None:
    axis = int(net.rng.integers(len(shape) - 1))
    new = (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])
    net.emit(f"Reshape({x}, {list(new)})", new)


def split_up(net: Composer, x: str, shape: Shape) -> None:
    axis = net.axis(shape)
    part = 2 if shape[axis] % 2 == 0 else 1
    new = (*shape[:axis], shape[axis] // part, part, *shape[axis + 1 :])
    asked = [-1 if i == axis else size for i, size in enumerate(new)]
    net.emit(f"Reshape({x}, {asked})", new)


def flattened(net: Composer, x: str, shape: Shape) -> None:
    axis = net.axis(shape)
    new = int(np.prod(shape[:axis])), int(np.prod(shape[axis:]))
    net.emit(f"Flatten<axis = {axis}>({x})", new)


def grown(net: Composer, x: str, shape: Shape) -> None:
    axis = net.axis(shape)
    net.emit(f"Unsqueeze({x}, [{axis}])", (*shape[:axis], 1, *shape[axis:]))


def softmax(net: Composer, x: str, shape: Shape) -> None:
    net.emit(f"Softmax<axis = {net.axis(shape)}>({x})", shape)


def reduced(net: Composer, x: str, shape: Shape) -> None:
    axis, keep = net.axis(shape), int(net.rng.integers(2))
    new = (*shape[:axis], *[1] * keep, *shape[axis + 1 :])
    net.emit(f"ReduceMean<keepdims = {keep}>({x}, [{axis}])", new)


def times_a_matrix(net: Composer, x: str, shape: Shape) -> None:
    net.emit(f"MatMul({x}, {net.weight((shape[-1], 2))})", (*shape[:-1], 2))


def matrix_times(net: Composer, x: str, shape: Shape) -> None:
    net.emit(f"MatMul({net.weight((2, shape[-2]))}, {x})", (*shape[:-2], 2, shape[-1]))


def by_itself(net: Composer, x: str, shape: Shape) -> None:
    perm = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    net.emit(f"Transpose<perm = {perm}>({x})", tuple(shape[axis] for axis in perm))
    net.emit(f"MatMul({x}, {net.values[-1][0]})", (*shape[:-1], shape[-2]))


def joined(net: Composer, x: str, shape: Shape) -> None:
    axis = net.axis(shape)
    token = net.weight((*shape[:axis], 1, *shape[axis + 1 :]))
    new = (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :])
    net.emit(f"Concat<axis = {axis}>({token}, {x})", new)


def cut(net: Composer, x: str, shape: Shape) -> None:
    axis = net.axis(shape)
    end = int(net.rng.integers(1, shape[axis] + 1))
    new = (*shape[:axis], end, *shape[axis + 1 :])
    net.emit(f"Slice({x}, [0], [{end}], [{axis}])", new)


def picked(net: Composer, x: str, shape: Shape) -> None:
    axis = net.axis(shape)
    net.emit(f"Gather<axis = {axis}>({x}, #0)", (*shape[:axis], *shape[axis + 1 :]))


def expanded(net: Composer, x: str, shape: Shape) -> None:
    net.emit(f"Expand({x}, {[2, *shape]})", (2, *shape))


STEPS: list[Callable[[Composer, str, Shape], None]] = [
    unary,
    with_another,
    with_a_weight,
    transposed,
    merged,
    split_up,
    flattened,
    grown,
    softmax,
    reduced,
    times_a_matrix,
    matrix_times,
    by_itself,
    joined,
    cut,
    picked,
    expanded,
]
LEAST_RANK = dict.fromkeys(["merged", "matrix_times", "by_itself", "picked", "reduced"], 2) | (
    dict.fromkeys(["split_up", "flattened", "grown", "softmax", "times_a_matrix", "joined"], 1)
)
LEAST_RANK |= {"cut": 1, "transposed": 1}
