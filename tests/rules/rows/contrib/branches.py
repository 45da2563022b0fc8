"""com.microsoft: layers over several streams. Kernels are in float32."""

from __future__ import annotations

from rules.rows.contrib import row as _row
from support.rows import normal as _x

_X, _FLAT = _x(2, 2, 3, 4), _x(2, 12, seed=4)
_BLOCK = _x(2, 2, 4, seed=5)

ROWS = [
    _row("BranchwiseRMSNorm", "plain", _X),
    _row("BranchwiseRMSNorm", "width", _X, _x(4, seed=6), epsilon=0.1),
    _row("BranchwiseRMSNorm", "matrix", _X, _x(3, 4, seed=6)),
    _row("BranchwiseRMSNorm", "vector", _X, _x(12, seed=6)),
    _row("BranchwiseRMSNorm", "flat", _FLAT, _x(12, seed=6), num_branches=3),
    _row("BranchwiseRMSNorm", "flat-width", _FLAT, _x(4, seed=6), num_branches=3),
    _row("HyperConnectionPreMix", "branches", _X, _x(2, 2, 3, seed=6)),
    _row("HyperConnectionPreMix", "columns", _X, _x(2, 2, 3, 1, seed=6), reduction_scale=0.3),
    _row("HyperConnectionPreMix", "features", _X, _x(2, 2, 3, 4, seed=6)),
    _row("HyperConnectionPreMix", "flat", _FLAT, _x(2, 12, seed=6), num_branches=3),
    _row("HyperConnectionPreMix", "flat-branches", _FLAT, _x(2, 3, seed=6), num_branches=3),
    _row("HyperConnectionPreMix", "flat-features", _FLAT, _x(2, 3, 4, seed=6), num_branches=3),
    _row("HyperConnectionPostMix", "branches", _X, _BLOCK, _x(2, 2, 3, seed=6)),
    _row("HyperConnectionPostMix", "columns", _X, _BLOCK, _x(2, 2, 3, 1, seed=6),
         _x(2, 2, 3, 3, seed=7)),
    _row("HyperConnectionPostMix", "flat-features", _FLAT, _BLOCK[0], _x(2, 3, 4, seed=6),
         _x(2, 3, 3, seed=7), num_branches=3),
]  # fmt: skip
