"""Clip and PRelu."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_X = np.array([[-2.3, -0.4, 0.3], [1.1, -1.7, 2.6]])
_LOW, _HIGH = np.array(-0.9), np.array(1.3)

ROWS = [
    Row("Clip", [_X]),
    Row("Clip", [_X, _LOW], id="min"),
    Row("Clip", [_X, None, _HIGH], id="max"),
    Row("Clip", [_X, _LOW, _HIGH], id="both"),
    Row("Clip", [_X, _HIGH, _LOW], id="crossed"),
    Row("Clip", [np.array(0.4), _LOW, _HIGH], id="scalar"),
    Row(
        "Clip",
        [np.array([-1.0, 0.5, 2.0, 3.0]), np.array(-1.0), np.array(2.0)],
        id="at-bounds",
        expected={0: [0.0, 1.0, 0.0, 0.0], 1: 1.0, 2: 2.0},
    ),
    Row("PRelu", [_X, np.array([0.3, -0.2, 0.7])], id="last"),
    Row("PRelu", [_X, np.array([[0.3], [1.2]])], id="first"),
    Row("PRelu", [_X, np.array(0.3)], id="scalar"),
    Row("PRelu", [_X, np.array([[0.3, -0.2, 0.7], [0.1, 0.4, 0.9]])], id="same"),
    Row(
        "PRelu",
        [np.array([0.0, 2.0, -2.0]), np.array(0.25)],
        id="at-0",
        expected={0: [0.25, 1.0, 0.25], 1: -2.0},
    ),
]
