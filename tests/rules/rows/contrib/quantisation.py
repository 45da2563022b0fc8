"""com.microsoft: scales and biases of what reads codes and gives numbers, in float32 alone.

Numbers that are quantised inside are no targets: differences would see the steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rules.rows.contrib import row
from support.rig import Row

_RNG = np.random.default_rng(37)


def _codes(dtype: Any, *shape: int) -> np.ndarray:
    return _RNG.integers(0, 16, shape).astype(dtype)


def _scale(*shape: int) -> np.ndarray:
    return _RNG.uniform(0.5, 2.0, shape)


def _row(op: str, id: str, *operands: np.ndarray | None, **more: Any) -> Row:
    """Linear in each scale, so that steps of 1 are exact."""
    ones = tuple(i for i, x in enumerate(operands) if x is not None and x.shape == (1,))
    return row(op, id, *operands, multilinear=True, fixed=ones, **more)


_A, _B, _BT = _codes(np.uint8, 3, 4), _codes(np.int8, 4, 5), _codes(np.int8, 5, 4)
_AZ, _BZ = np.array(5, np.uint8), np.array(-3, np.int8)

ROWS = [
    _row("DequantizeLinear", "ms-tensor", _A, _scale(), _AZ, wrt=(1,)),
    _row("DequantizeLinear", "ms-axis", _A, _scale(4), _codes(np.uint8, 4), wrt=(1,), axis=1),
    _row("DequantizeLinear", "ms-int16", _codes(np.int16, 3, 4), _scale(), wrt=(1,)),
    _row("MatMulIntegerToFloat", "bare", _A, _B, _scale(), _scale(), wrt=(2, 3)),
    _row("MatMulIntegerToFloat", "full", _A, _B, _scale(), _scale(5), _AZ, _codes(np.int8, 5),
         _scale(5), wrt=(2, 3, 6)),
    _row("MatMulIntegerToFloat", "stack", _codes(np.uint8, 2, 3, 4), _B, _scale(1), _scale(1), _AZ,
         _BZ, wrt=(2, 3)),
    _row("DynamicQuantizeMatMul", "bare", _RNG.standard_normal((3, 4)), _B, _scale(), wrt=(2,)),
    _row("DynamicQuantizeMatMul", "full", _RNG.standard_normal((3, 4)), _B, _scale(5),
         _codes(np.int8, 5), _scale(5), wrt=(2, 4)),
    _row("QGemm", "bare", _A, _scale(), _AZ, _B, _scale(), _BZ, None, None, None, wrt=(1, 4)),
    _row("QGemm", "full", _codes(np.uint8, 4, 3), _scale(), _AZ, _BT, _scale(5), _codes(np.int8, 5),
         _codes(np.int32, 5), wrt=(1, 4), transA=1, transB=1, alpha=0.5),
]  # fmt: skip
