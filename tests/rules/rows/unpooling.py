"""Operators that put back what windows took."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


_POOLED = _x(2, 1, 2, 2)
_INDICES = np.array([5, 7, 13, 8, 16, 19, 27, 30]).reshape(2, 1, 2, 2)


def _unpool(id: str, *shape: int, opset: int = 21, **attributes: Any) -> Row:
    operands = [_POOLED, _INDICES, *([np.array(shape)] if shape else [])]
    # With an output shape, indices count through it in onnxruntime, which the service runs, and
    # through the inferred shape in the reference. onnxruntime has no double kernel.
    return Row(
        "MaxUnpool",
        operands,
        {"kernel_shape": [2, 2], "strides": [2, 2], **attributes},
        id=id,
        opset=opset,
        multilinear=True,
    )


def _columns(
    image: tuple[int, ...], block: tuple[int, ...], shape: tuple[int, ...], id: str, **more: Any
) -> Row:
    constants = more.pop("constants", (1, 2))
    operands = [_x(*shape), np.array(image), np.array(block)]
    # onnxruntime has no double kernel; what is linear needs none.
    return Row("Col2Im", operands, more, id=id, constants=constants, fixed=(1, 2), multilinear=True)


ROWS = [
    _unpool("inferred"),
    _unpool("shape", 2, 1, 5, 5),
    _unpool("shape-newest", 2, 1, 4, 6, opset=22),
    _unpool("padded", kernel_shape=[3, 3], pads=[0, 1, 1, 0]),
    Row(
        "MaxUnpool",
        [_x(1, 2, 3), np.array([[[0, 3, 5], [7, 8, 11]]])],
        {"kernel_shape": [2], "strides": [2]},
        id="1d",
        multilinear=True,
    ),
    _columns((5, 5), (1, 5), (1, 5, 5), "plain"),
    _columns((5, 4), (2, 3), (2, 12, 8), "channels"),
    _columns((5, 4), (2, 3), (2, 12, 8), "run-time", constants=()),
    _columns((5, 5), (2, 2), (1, 4, 4), "strided", strides=[2, 2]),
    _columns(
        (5, 5), (3, 2), (1, 6, 10), "padded", pads=[0, 1, 1, 0], strides=[1, 1], dilations=[2, 1]
    ),
    _columns((3, 4, 3), (2, 2, 1), (1, 4, 36), "3d", pads=[1, 0, 0, 0, 0, 1]),
    # onnxruntime misplaces the taps of dilated kernels with three axes.
    Row(
        "Col2Im",
        [_x(1, 8, 2), np.array([3, 4, 3]), np.array([2, 2, 2])],
        {"dilations": [1, 2, 2], "strides": [2, 1, 1]},
        id="3d-dilated",
        constants=(1, 2),
        engine="reference",
    ),
]
