"""Scales of DequantizeLinear and DynamicQuantizeLinear. The estimators are in test_estimators."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(31)


def _codes(dtype: Any, *shape: int) -> np.ndarray:
    low, high = (-7, 8) if np.dtype(dtype).kind == "i" else (0, 16)
    return _RNG.integers(low, high, shape).astype(dtype)


def _scale(*shape: int) -> np.ndarray:
    return _RNG.uniform(0.5, 2.0, shape)


def _row(
    id: str, x: np.ndarray, scale: np.ndarray, zero: np.ndarray | None = None, **more: Any
) -> Row:
    """A row in float32, which is exact: codes times scales. No double kernel or reference."""
    opset = more.pop("opset", 21)
    operands = [x, scale] if zero is None else [x, scale, zero]
    # The runtime takes no arrays of fewer bits, nor narrow floats: they are initializers.
    narrow = x.dtype not in (np.int8, np.uint8, np.int16, np.uint16, np.int32)
    constants = (0, 2) if narrow and zero is not None else (0,) if narrow else ()
    return Row(
        "DequantizeLinear", operands, more, id=id, opset=opset, constants=constants, wrt=(1,),
        multilinear=True, fixed=(1,) if "block_size" in more or scale.shape == (1,) else (),
    )  # fmt: skip


def _dynamic(id: str, *x: float, expected: list[float] | None = None) -> Row:
    exact = None if expected is None else {0: np.asarray(expected, np.float32) / np.float32(255)}
    return Row(
        "DynamicQuantizeLinear", [np.asarray(x)], id=id, outputs=3, wrt=(0,), single_only=True,
        expected=exact,
    )  # fmt: skip


ROWS = [
    _row("int8", _codes(np.int8, 2, 3), _scale()),
    _row("zero-point", _codes(np.int8, 2, 3), _scale(), np.array(3, np.int8)),
    _row("uint8", _codes(np.uint8, 4, 2), _scale(), np.array(7, np.uint8)),
    _row("int16", _codes(np.int16, 2, 3), _scale(), np.array(-5, np.int16)),
    _row("uint16", _codes(np.uint16, 2, 3), _scale(), np.array(5, np.uint16)),
    _row("int32", _codes(np.int32, 2, 3), _scale()),
    _row("scalar", _codes(np.int8), _scale()),
    _row("one", _codes(np.int8, 2, 3), _scale(1), _codes(np.int8, 1)),
    _row("scalar-by-one", _codes(np.int8), _scale(1)),
    _row("axis", _codes(np.int8, 2, 3, 4), _scale(3), _codes(np.int8, 3)),
    _row("axis-0", _codes(np.uint8, 2, 3), _scale(2), _codes(np.uint8, 2), axis=0),
    _row("axis-last", _codes(np.int8, 2, 3, 2), _scale(2), axis=-1),
    _row("blocks", _codes(np.int8, 2, 6, 3), _scale(2, 2, 3), _codes(np.int8, 2, 2, 3),
         axis=1, block_size=3),
    _row("last-block-cut", _codes(np.uint8, 5, 2), _scale(3, 2), axis=0, block_size=2),
    _row("int4", _codes(ml_dtypes.int4, 2, 4), _scale(), np.array(1, ml_dtypes.int4)),
    _row("uint4-blocks", _codes(ml_dtypes.uint4, 2, 4), _scale(2, 2), axis=-1, block_size=2),
    _row("int2", np.array([[-2, 1, 0, -1]], ml_dtypes.int2), _scale(), opset=25),
    _row("float8", np.array([[1.5, -2.0, 0.25]], ml_dtypes.float8_e4m3fn), _scale()),
    _row("version-23", _codes(np.int8, 2, 3), _scale(3), opset=23),
    _dynamic("both-signs", 0.5, -1.0, 2.0, 1.2),
    _dynamic("positive", 0.5, 1.5, 2.5),
    _dynamic("negative", -0.5, -1.5, -2.5),
    _dynamic("ties", 3.0, 3.0, -1.0, 0.0, expected=[0.5, 0.5, -1.0, 0.0]),
    _dynamic("least-is-0", 0.0, 1.0, 2.0, expected=[-0.5, 0.0, 1.0]),
]  # fmt: skip
