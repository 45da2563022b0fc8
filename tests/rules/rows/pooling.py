"""Pools.

The reference's GlobalMaxPool has the wrong rank except for pictures: float32 on onnxruntime.
Averages are linear, onnxruntime has no double kernel for them and the reference's take seconds: so
differences in float32 with step 1, which are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(4)


def _distinct(*shape: int) -> np.ndarray:
    """So far apart, and so far from 0, that no step of differences changes what is largest."""
    count = int(np.prod(shape))
    return (0.1 * _RNG.permutation(count) - 0.05 * count + 0.05 * (count % 2 + 1)).reshape(shape)


_LINE, _IMAGE, _VOLUME = (2, 2, 7), (2, 2, 5, 6), (1, 2, 3, 4, 3)


def _max(id: str, shape: tuple[int, ...], **attributes: Any) -> Row:
    outputs = attributes.pop("outputs", 1)
    return Row("MaxPool", [_distinct(*shape)], attributes, id=id, outputs=outputs)


def _average(id: str, shape: tuple[int, ...], **attributes: Any) -> Row:
    return Row("AveragePool", [_distinct(*shape)], attributes, id=id, multilinear=True)


def _lp(id: str, shape: tuple[int, ...], **attributes: Any) -> Row:
    # The reference is wrong for padded windows, so float32: its differences are coarse.
    return Row("LpPool", [_distinct(*shape)], attributes, id=id, single_only=True)


_TIES = np.array([[[1.0, 3.0, 3.0, 3.0, 2.0, 2.0]]])

ROWS = [
    _max("1d", _LINE, kernel_shape=[3]),
    _max("2d", _IMAGE, kernel_shape=[2, 3], strides=[2, 1]),
    _max("3d", _VOLUME, kernel_shape=[2, 2, 2]),
    _max("pads", _IMAGE, kernel_shape=[3, 2], pads=[1, 0, 2, 1], strides=[2, 2]),
    _max("dilations", _IMAGE, kernel_shape=[2, 2], dilations=[2, 3]),
    _max("ceil", _IMAGE, kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1),
    _max("same-upper", _IMAGE, kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    _max("same-lower", _IMAGE, kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    _max("valid", _IMAGE, kernel_shape=[2, 3], auto_pad="VALID"),
    _max("indices", _IMAGE, kernel_shape=[2, 2], outputs=2),
    _max("columns-first", _IMAGE, kernel_shape=[2, 2], storage_order=1),
    _max("columns-first-3d", _VOLUME, kernel_shape=[2, 2, 2], storage_order=1, outputs=2),
    _max("no-batch", (0, 2, 5), kernel_shape=[2]),
    Row("MaxPool", [_TIES], {"kernel_shape": [2], "strides": [1]}, id="ties",
        expected={0: [[[0, 2, 1, 1, 1, 0]]]}),
    Row("MaxPool", [np.full((1, 2, 4), -np.inf)], {"kernel_shape": [2], "strides": [2]},
        id="nothing-finite", expected={0: [[[1, 0, 1, 0]] * 2]}),
    _average("1d", _LINE, kernel_shape=[3]),
    _average("2d", _IMAGE, kernel_shape=[2, 3]),
    _average("3d", _VOLUME, kernel_shape=[2, 2, 2], strides=[1, 2, 1]),
    _average("tiles", (2, 2, 6, 4), kernel_shape=[3, 2], strides=[3, 2]),
    _average("tiles-that-do-not-divide", (2, 2, 7, 5), kernel_shape=[3, 2], strides=[3, 2]),
    _average("tiles-ceil", (2, 2, 7, 5), kernel_shape=[3, 2], strides=[3, 2], ceil_mode=1),
    _average("strides", _IMAGE, kernel_shape=[3, 3], strides=[2, 2]),
    _average("stride-beyond-kernel", (1, 1, 9), kernel_shape=[2], strides=[4]),
    _average("pads", _IMAGE, kernel_shape=[3, 2], pads=[1, 0, 2, 1], strides=[2, 1]),
    _average("count-pads", _IMAGE, kernel_shape=[3, 2], pads=[1, 0, 2, 1], count_include_pad=1),
    _average("count-pads-bare", _IMAGE, kernel_shape=[3, 2], count_include_pad=1),
    _average("dilations", _IMAGE, kernel_shape=[2, 2], dilations=[2, 3], pads=[1, 1, 1, 1]),
    _average("ceil", _IMAGE, kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1),
    _average("ceil-pads", _IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
             ceil_mode=1),
    _average("ceil-count-pads", (2, 2, 6, 6), kernel_shape=[3, 3], strides=[2, 2],
             pads=[1, 0, 1, 1], ceil_mode=1, count_include_pad=1),
    _average("same-upper", _IMAGE, kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    _average("same-lower", _IMAGE, kernel_shape=[2, 3], strides=[2, 4], auto_pad="SAME_LOWER"),
    _average("same-count-pads", _IMAGE, kernel_shape=[2, 3], auto_pad="SAME_UPPER",
             count_include_pad=1),
    _average("same-upper-kernel-below-stride", (1, 1, 6, 8), kernel_shape=[1, 2], strides=[3, 5],
             auto_pad="SAME_UPPER"),
    _average("same-lower-kernel-below-stride", (1, 1, 6, 8), kernel_shape=[1, 2], strides=[3, 5],
             auto_pad="SAME_LOWER"),
    _average("valid", _IMAGE, kernel_shape=[2, 3], auto_pad="VALID"),
    _average("no-batch", (0, 2, 5), kernel_shape=[2]),
    _lp("1d", _LINE, kernel_shape=[3]),
    _lp("2d", _IMAGE, kernel_shape=[2, 3], strides=[2, 1]),
    _lp("pads", _IMAGE, kernel_shape=[3, 2], pads=[1, 0, 2, 1], strides=[2, 1]),
    _lp("p-1", _LINE, kernel_shape=[3], p=1),
    _lp("p-3", _LINE, kernel_shape=[3], p=3),
    _lp("dilations", _IMAGE, kernel_shape=[2, 2], dilations=[2, 3]),
    _lp("ceil", _IMAGE, kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1),
    _lp("same-upper", _IMAGE, kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    Row("LpPool", [np.array([[[0.0, 0.0, 3.0]]])], {"kernel_shape": [2]}, id="at-0",
        expected={0: [[[0, 0, 1]]]}),
    Row("GlobalAveragePool", [_distinct(*_LINE)], id="1d", multilinear=True),
    Row("GlobalAveragePool", [_distinct(*_IMAGE)], id="2d", multilinear=True),
    Row("GlobalAveragePool", [_distinct(*_VOLUME)], id="3d", multilinear=True),
    Row("GlobalMaxPool", [_distinct(*_LINE)], id="1d", single_only=True),
    Row("GlobalMaxPool", [_distinct(*_IMAGE)], id="2d", single_only=True),
    Row("GlobalMaxPool", [_distinct(*_VOLUME)], id="3d", single_only=True),
    Row("GlobalMaxPool", [_TIES], id="ties", expected={0: [[[0, 1, 0, 0, 0, 0]]]}),
    Row("GlobalLpPool", [_distinct(*_IMAGE)], id="2d", single_only=True),
    Row("GlobalLpPool", [_distinct(*_IMAGE)], {"p": 1}, id="p-1", single_only=True),
    Row("GlobalLpPool", [_distinct(*_LINE)], {"p": 3}, id="p-3", single_only=True),
    Row("GlobalLpPool", [np.zeros((1, 1, 3))], id="at-0", expected={0: [[[0, 0, 0]]]}),
    Row("LRN", [_distinct(2, 5, 2, 2)], {"size": 3}, id="size-3", single_only=True),
    Row("LRN", [_distinct(1, 6, 3, 1)], {"size": 5, "alpha": 0.5, "beta": 0.6, "bias": 2.0},
        id="everything", single_only=True),
    Row("LRN", [_distinct(1, 3, 2, 2)], {"size": 1, "alpha": 0.3}, id="size-1", single_only=True),
]  # fmt: skip
