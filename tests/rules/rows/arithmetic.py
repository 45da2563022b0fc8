"""Arithmetic on operands that broadcast: every way of broadcasting, variadics, ties."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(19)


def _distinct(shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    count = int(np.prod(shape))
    return _RNG.permuted(np.linspace(low, high, count)).reshape(shape)


# Same shape, a scalar, missing axes, axes of size 1 on either side and on both.
_SHAPES = {
    "same": ((2, 3), (2, 3)),
    "scalar-left": ((), (2, 3)),
    "scalar-right": ((2, 3), ()),
    "scalars": ((), ()),
    "vector": ((2, 3), (3,)),
    "column": ((2, 3), (2, 1)),
    "outer": ((2, 1), (1, 3)),
    "lead": ((4, 1, 3), (2, 1)),
    "middle": ((2, 1, 3), (2, 4, 1)),
}


def _pair(name: str) -> list[np.ndarray]:
    left, right = _SHAPES[name]
    return [_distinct(left, 0.4, 2.9), _distinct(right, 0.55, 1.75)]


def _broadcast(*ops: str, ways: Iterable[str] = _SHAPES) -> list[Row]:
    return [Row(op, _pair(name), id=name) for op, name in itertools.product(ops, ways)]


_A, _B, _C = (
    _distinct(shape, -2.0 + i / 11, 2.0 + i / 7) for i, shape in enumerate([(2, 3), (3,), (2, 1)])
)

ROWS = [
    *_broadcast("Add", "Div"),
    *_broadcast("Sub", "Mul", "Max", "Min", ways=("same", "scalar-left", "vector", "middle")),
    *(Row(op, [_A], id="one") for op in ("Sum", "Mean", "Max", "Min")),
    *(Row(op, [_A, _B, _C], id="three") for op in ("Sum", "Mean", "Max", "Min")),
    Row("Div", [np.array([0.0, -2.0]), np.array([3.0, 0.5])], id="signs"),
    *(
        Row("Mod", [_distinct((2, 3), -7.1, 8.3), b], {"fmod": 1}, id=f"fmod-{name}")
        for name, b in (("vector", np.array([2.0, -1.7, 3.3])), ("scalar", np.array(1.9)))
    ),
    Row(
        "Max",
        [np.array([1.0, 2.0, -0.0]), np.array([1.0, 0.0, 0.0]), np.array([1.0, 2.0, -1.0])],
        id="ties",
        expected={
            0: np.array([1 / 3, 0.5, 0.5], np.float32),
            1: np.array([1 / 3, 0.0, 0.5], np.float32),
            2: np.array([1 / 3, 0.5, 0.0], np.float32),
        },
    ),
    Row(
        "Min",
        [np.array([1.0, 2.0]), np.array(1.0)],
        id="ties",
        expected={0: [0.5, 0.0], 1: 1.5},
    ),
    Row(
        "Mul",
        [np.zeros((0, 3)), np.ones(3)],
        id="empty",
        expected={0: np.zeros((0, 3)), 1: [0.0] * 3},
    ),
]
