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


def _some(op: str, x: np.ndarray) -> list[Row]:
    """Of a reduction that shares its handling of axes with the others."""
    kept = {"all-flat", "absent-noop", "two-negative-flat", "run-time-flat", "empty-noop-flat"}
    return [row for row in _each(op, x) if row.id in kept or row.id == "scalar"]


_ZEROS = np.array([[0.7, 0.0, -1.3, 0.4], [0.0, 1.2, 0.0, 2.1], [0.6, 1.1, -0.8, 1.7]])
_INF = np.inf

ROWS = [
    *_each("ReduceSum", _X),
    *_some("ReduceMean", _X),
    *_some("ReduceMax", _X),
    *_some("ReduceMin", _X),
    *_some("ReduceL1", _X),
    *_some("ReduceL2", _X),
    *_some("ReduceSumSquare", _X),
    *_some("ReduceLogSum", _POSITIVE),
    *_some("ReduceLogSumExp", _X),
    *_each("ReduceProd", np.abs(_X) * 0.7 + 0.3),
    # No, one and two zeros in a product.
    Row("ReduceProd", [_ZEROS, _axes(1)], constants=(1,), id="zeros"),
    Row("ReduceProd", [_ZEROS, _axes(1)], id="zeros-run-time"),
    Row("ReduceProd", [_ZEROS, _axes(0, 1)], {"keepdims": 0}, constants=(1,), id="zeros-all"),
    Row("ReduceProd", [_ZEROS.reshape(1, 12)[:, 2:], _axes(1)], constants=(1,), id="ten"),
    Row(
        "ReduceProd",
        [np.array([0.0, 2.0, 3.0])],
        id="one-zero",
        expected={0: [6.0, 0.0, 0.0]},
    ),
    Row(
        "ReduceMax",
        [np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), _axes(1)],
        constants=(1,),
        id="ties",
        expected={0: np.array([[0, 0.5, 0.5], [1 / 3] * 3], np.float32)},
    ),
    Row("ReduceMin", [np.array([1.0, 1.0, 3.0])], id="ties", expected={0: [0.5, 0.5, 0.0]}),
    Row("ReduceL1", [np.array([0.0, -2.0])], id="at-0", expected={0: [0.0, -1.0]}),
    Row("ReduceL2", [np.zeros(3)], id="at-0", expected={0: np.zeros(3)}),
    Row("ReduceLogSum", [np.zeros(2)], id="at-0", expected={0: [_INF, _INF]}),
    Row(
        "ReduceLogSumExp",
        [np.array([[-_INF, -_INF], [-_INF, 2.0], [1e4, -1e4]]), _axes(1)],
        constants=(1,),
        id="far",
        expected={0: [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]},
    ),
]
