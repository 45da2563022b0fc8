"""Fourier transforms; complex numbers are pairs along the last axis."""

from __future__ import annotations

from functools import partial

import numpy as np

from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


def _i(*values: int) -> np.ndarray:
    return np.array(values[0] if len(values) == 1 else values, np.int64)


def _dft(
    id: str, x: np.ndarray, length: int | None = None, axis: int | None = None, **more: int
) -> Row:
    operands: list[np.ndarray | None] = [x]
    operands.append(None if length is None else _i(length))
    operands.append(None if axis is None else _i(axis))
    while operands[-1] is None:
        operands.pop()
    return Row(
        "DFT",
        operands,
        more,
        id=id,
        constants=(2,) if axis is not None else (),
    )


def _stft(
    id: str,
    signal: np.ndarray,
    step: int,
    window: np.ndarray | None = None,
    length: int | None = None,
    *,
    onesided: int = 1,
) -> Row:
    operands: list[np.ndarray | None] = [signal, _i(step), window]
    operands += [] if length is None else [_i(length)]
    # Written out, since onnx infers the sizes of onesided=0 where the attribute is left out.
    constants = (1,) if length is None else (1, 3)
    return Row("STFT", operands, {"onesided": onesided}, id=id, constants=constants)


_REAL, _COMPLEX, _SIGNAL = _x(2, 5, 1), _x(2, 5, 2), _x(2, 11, 1)
_WINDOW = np.abs(_x(4, seed=8)) + 0.2

ROWS = [
    _dft("real", _REAL),
    _dft("complex", _COMPLEX),
    _dft("inverse", _COMPLEX, inverse=1),
    _dft("inverse-real", _REAL, inverse=1),
    _dft("onesided", _REAL, onesided=1),
    _dft("onesided-even", _x(2, 6, 1), onesided=1),
    _dft("longer", _COMPLEX, 8),
    _dft("shorter", _COMPLEX, 3, inverse=1),
    _dft("onesided-longer", _REAL, 8, onesided=1),
    _dft("onesided-shorter", _REAL, 4, onesided=1),
    _dft("first-axis", _x(4, 3, 2), axis=0),
    _dft("middle-axis", _x(2, 4, 3, 1), 5, axis=-3, onesided=1),
    _dft("real-from-half", _x(2, 4, 2), inverse=1, onesided=1),
    _dft("real-from-half-odd", _x(2, 4, 2), 7, inverse=1, onesided=1),
    *(
        Row("DFT", [_x(2, 3, 4, 1), _i(length), _i(axis)], {"onesided": 1}, id=f"run-time{axis}")
        for length, axis in ((4, 0), (5, -3), (3, -2))
    ),
    # onnxruntime makes something else of more or fewer bins than half of the length.
    Row(
        "DFT",
        [_x(2, 5, 2), _i(4)],
        {"inverse": 1, "onesided": 1},
        id="real-from-too-many",
        constants=(1,),
        engine="reference",
        second=False,  # it cuts by Pad, which the reference does not
    ),
    _stft("window", _SIGNAL, 3, _WINDOW),
    _stft("both", _SIGNAL, 3, _WINDOW, 4, onesided=0),
    _stft("length", _SIGNAL, 2, None, 5),
    _stft("even-length", _SIGNAL, 1, None, 6),
    _stft("complex", _x(2, 11, 2), 4, _WINDOW, onesided=0),
    _stft("complex-length", _x(1, 9, 2), 1, None, 6, onesided=0),
    Row(
        "STFT",
        [_SIGNAL, _i(3), _WINDOW, _i(4)],
        id="run-time",
        second=False,  # onnx infers no rank of the result, so its cotangent has none as a port
    ),
]
