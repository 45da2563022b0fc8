"""com.microsoft: packed weights, which the kernels want to be constants. Kernels are in float32."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from rules.rows.contrib import row
from support.rig import Row
from support.rows import normal as _x


def _codes(*shape: int, dtype: Any = np.uint8, seed: int = 3) -> np.ndarray:
    top = 256 if dtype is np.uint8 else 8
    return np.random.default_rng(seed).integers(0, top, shape).astype(dtype)


def _row(op: str, id: str, *operands: np.ndarray | None, **attributes: Any) -> Row:
    fixed = tuple(range(1, len(operands)))
    return row(op, id, *operands, multilinear=True, fixed=fixed, **attributes)


def _matmul(bits: int, id: str, *more: np.ndarray | None, k: int = 40, **attributes: Any) -> Row:
    blocks = -(-k // 16)
    weight, scales = _codes(3, blocks, 2 * bits), _x(3, blocks, seed=4) / 2**bits
    ours = {"K": k, "N": 3, "bits": bits, "block_size": 16, **attributes}
    operands = _x(2, 2, k), weight, scales, *more
    return _row("MatMulNBits", f"{bits}-{id}", *operands, **ours)


def _bnb(id: str, *a: int, **more: Any) -> Row:
    operands = _x(*a), _codes(15, seed=4), np.abs(_x(2, seed=5))
    attributes = {"K": 10, "N": 3, "block_size": 16, **more}
    return _row("MatMulBnb4", id, *operands, **attributes)


def _gather(
    id: str, data: np.ndarray, scales: np.ndarray, *more: np.ndarray, **attributes: Any
) -> Row:
    table = data.dtype == np.uint8
    return row(
        "GatherBlockQuantized", id, data, _IDS, scales, *more,
        multilinear=True,
        constants=() if table else (0, *range(3, 3 + len(more))),
        fixed=(0, 2, *range(3, 3 + len(more))),
        **{"block_size": 16, **attributes},
    )  # fmt: skip


_IDS = np.array([[1, 0], [2, -1]])
_GROUPS = np.random.default_rng(6).integers(0, 3, 40).astype(np.int32)
_INT4 = ml_dtypes.int4

ROWS = [
    *(
        row
        for bits in (2, 4, 8)
        for row in (
            _matmul(bits, "plain"),
            _matmul(bits, "even", k=32),
            _matmul(bits, "zero-points", _codes(3, -(-3 * bits // 8), seed=5)),
            _matmul(bits, "bias", None, None, _x(3, seed=7)),
        )
    ),
    _matmul(2, "float-zero-points", _x(3, 3, seed=5)),
    _matmul(4, "float-zero-points", _x(3, 3, seed=5)),
    _matmul(4, "groups", None, _GROUPS),
    _matmul(4, "all", _codes(3, 2, seed=5), None, _x(3, seed=7), accuracy_level=1),
    _matmul(4, "float-groups", _x(3, 3, seed=5), _GROUPS),
    _bnb("fp4", 2, 2, 10, quant_type=0),
    _bnb("nf4", 2, 2, 10, quant_type=1),
    _gather("2", _codes(3, 6), _x(3, 2, seed=4), bits=2),
    _gather("4", _codes(3, 12), _x(3, 2, seed=4), bits=4),
    _gather("8", _codes(3, 24), _x(3, 2, seed=4), bits=8),
    _gather("2-zero-points", _codes(3, 6), _x(3, 2, seed=4), _codes(3, 1, seed=5), bits=2),
    _gather("4-zero-points", _codes(3, 12), _x(3, 2, seed=4), _codes(3, 1, seed=5), bits=4),
    _gather("8-zero-points", _codes(3, 24), _x(3, 2, seed=4), _codes(3, 2, seed=5), bits=8),
    _gather("int4", _codes(3, 24, dtype=_INT4), _x(3, 2, seed=4)),
    _gather("int4-zero-points", _codes(3, 24, dtype=_INT4), _x(3, 2, seed=4),
            _codes(3, 2, dtype=_INT4, seed=5)),
    _gather("uint4", _codes(3, 2, 24, dtype=ml_dtypes.uint4), _x(3, 2, 2, seed=4),
            _codes(3, 2, 2, dtype=ml_dtypes.uint4, seed=5), quantize_axis=-1),
    _gather("int4-last", _codes(2, 20, 3, dtype=_INT4), _x(2, 2, 3, seed=4), gather_axis=2),
    _gather("int4-same", _codes(20, 3, dtype=_INT4), _x(2, 3, seed=4), quantize_axis=0),
    _gather("float8", _x(3, 24).astype(ml_dtypes.float8_e4m3fn), _x(3, 2, seed=4)),
    _gather("float8-rows", _x(3, 24).astype(ml_dtypes.float8_e5m2), _x(3, 1, seed=4), block_size=0),
    _gather("float8-shared", _x(3, 24).astype(ml_dtypes.float8_e4m3fn), _x(1, 2, seed=4)),
]  # fmt: skip
