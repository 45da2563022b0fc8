"""Dropout where it is no game of chance; `test_dropout.py` has the rest."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_X = np.array([[-2.3, -0.4, 0.3], [1.1, -1.7, 2.6]])
_RATIO = np.array(0.3, np.float32)
_YES, _NO = np.array(True), np.array(False)

ROWS = [
    Row("Dropout", [_X]),
    Row("Dropout", [_X, _RATIO], id="ratio"),
    Row("Dropout", [_X, _RATIO, _NO], constants=(2,), id="used"),
    Row("Dropout", [_X, _RATIO, _NO], id="used-run-time"),
    Row("Dropout", [_X, None, _NO], id="used-no-ratio", outputs=2, of=(0,)),
    Row("Dropout", [_X, np.array(0.0, np.float32), _YES], constants=(2,), id="trained-at-0"),
    Row("Dropout", [_X, np.array(0.0, np.float32), _YES], id="trained-at-0-run-time"),
]
