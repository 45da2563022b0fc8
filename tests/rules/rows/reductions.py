"""Reductions: axes known, absent or known at run time, kept or not."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(5)
_X = _RNG.permuted(np.linspace(-2.0, 2.5, 24)).reshape(2, 3, 4)
_POSITIVE = np.abs(_X) + 0.3
_NONE = np.zeros(0, np.int64)


def _axes(*axes: int) -> np.ndarray:
    return np.array(axes, np.int64)


def _each(op: str, x: np.ndarray) -> list[Row]:
    """The axes operand and both attributes of one reduction."""
    noop = {"noop_with_empty_axes": 1}
    flat = {"keepdims": 0}
    return [
        Row(op, [x], id="all"),
        Row(op, [x], flat, id="all-flat"),
        Row(op, [x], noop, id="absent-noop"),
        Row(op, [x], {**noop, **flat}, id="absent-noop-flat"),
        Row(op, [x, _axes(1)], constants=(1,), id="one"),
        Row(op, [x, _axes(-1, 0)], flat, constants=(1,), id="two-negative-flat"),
        Row(op, [x, _axes(0, 2)], id="run-time"),
        Row(op, [x, _axes(-2)], flat, id="run-time-flat"),
        Row(op, [x, _NONE], flat, constants=(1,), id="empty-flat"),
        Row(op, [x, _NONE], {**noop, **flat}, constants=(1,), id="empty-noop-flat"),
        Row(op, [x, _NONE], noop, id="run-time-empty-noop"),
        Row(op, [x, _NONE], flat, id="run-time-empty-flat"),
        Row(op, [np.array(1.3)], id="scalar"),
        Row(op, [np.array(1.3)], flat, id="scalar-flat"),
    ]


ROWS = [
    *_each("ReduceSum", _X),
    *_each("ReduceMean", _X),
]
