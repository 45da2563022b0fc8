"""Softmax and its logarithm."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(3)
_X = _RNG.standard_normal((2, 3, 4))

ROWS = [
    *(
        Row(op, [_X], {"axis": axis}, id=f"axis{axis}")
        for op in ("Softmax", "LogSoftmax")
        for axis in (0, 1, -1, -2)
    ),
    *(Row(op, [_X]) for op in ("Softmax", "LogSoftmax")),
    # A masked position has no gradient and spoils no other.
    Row("Softmax", [np.array([[0.0, -np.inf, 0.0]])], id="masked", expected={0: [[0.0, 0.0, 0.0]]}),
    Row("Softmax", [np.array([[1e4, -1e4]])], id="far", expected={0: [[0.0, 0.0]]}),
    Row(
        "LogSoftmax",
        [np.array([[0.0, -np.inf]])],
        id="masked",
        expected={0: [[-1.0, 1.0]]},
    ),
    Row("LogSoftmax", [np.array([[1e4, -1e4]])], id="far", expected={0: [[-1.0, 1.0]]}),
]
