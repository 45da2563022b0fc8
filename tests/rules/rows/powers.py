"""Pow: exponents of every kind, dtypes that differ, and the corners at base 0."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_BASE = np.array([[0.4, 1.3, 2.2], [0.7, 1.9, 3.1]])
_SIGNED = np.array([-2.2, -0.7, 0.4, 1.6])
_SINGLE = np.float32
INF, NAN = np.inf, np.nan


def _fixed(exponent: float, dtype: type, x: np.ndarray, **options: object) -> Row:
    """An exponent that is an initializer: known when compiling if it is an integer."""
    y = np.array(exponent, dtype)
    return Row("Pow", [x, y], constants=(1,), wrt=(0,), **options)  # type: ignore[arg-type]


ROWS = [
    Row("Pow", [_BASE, np.array([[2.5, -1.2, 0.3], [1.0, 2.0, 3.0]])], id="elementwise"),
    Row("Pow", [_BASE, np.array(1.7)], id="scalar-exponent"),
    Row("Pow", [np.array(1.7), _BASE], id="scalar-base"),
    Row("Pow", [_BASE[:, :1], np.array([1.5, 2.5, 0.5, -1.0])], id="both-broadcast"),
    *(_fixed(n, np.int64, _SIGNED, id=f"int-{n}") for n in (-2, -1, 0, 1, 2, 3, 4)),
    *(_fixed(n, np.float64, _SIGNED, id=f"float-{n}") for n in (-2, 0, 1, 2, 3)),
    _fixed(0.5, np.float64, _BASE, id="float-half"),
    Row("Pow", [_SIGNED, np.array([2, 3, -1, 0], np.int32)], id="int32-exponents"),
    Row("Pow", [_BASE, np.array([1.5, 2.0, 3.0], _SINGLE)], wrt=(0,), id="single-exponent"),
    # Corners, with ones imposed.
    Row(
        "Pow",
        [np.array([0.0, 0.0, 0.0, 0.0, -2.0]), np.array([0.0, 0.5, 1.0, 2.0, 2.0])],
        id="corners",
        expected={0: [0.0, INF, 1.0, 0.0, -4.0], 1: [0.0, 0.0, 0.0, 0.0, NAN]},
    ),
    Row(
        "Pow",
        [np.array([0.0, -2.0, 3.0]), np.array([0, 3, 0], np.int64)],
        id="integer-corners",
        expected={0: [0.0, 12.0, 0.0]},
    ),
]
