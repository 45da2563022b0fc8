"""Normalisation by mean and variance."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(9)
_X = _RNG.standard_normal((2, 4, 3, 2))
_C = [_RNG.standard_normal(4), _RNG.standard_normal(4), _RNG.standard_normal(4)]
_VAR = _RNG.uniform(0.5, 2.0, 4)

ROWS = [
    Row("BatchNormalization", [_X, *_C, _VAR]),
    Row("BatchNormalization", [_X, *_C, _VAR], {"epsilon": 0.3}, id="epsilon"),
    Row("BatchNormalization", [_X[:, :, 0, 0], *_C, _VAR], id="rank2"),
    Row("BatchNormalization", [_X[:, :, 0], *_C, _VAR], id="rank3"),
]
