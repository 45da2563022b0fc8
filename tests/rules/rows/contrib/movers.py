"""com.microsoft: movers, sampling, inverses. Trilu, Range, Inverse and CDist are in float64 too."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from rules.rows.contrib import DOMAIN
from rules.rows.contrib import row as _row
from support.rig import Row
from support.rows import normal as _x
from support.rows import rows_of

_double = rows_of(DOMAIN)
_moving = partial(_row, multilinear=True)


def _grid(mode: str, padding: str, aligned: int) -> Row:
    more = {"mode": mode, "padding_mode": padding, "align_corners": aligned}
    target = {"wrt": (0,)} if mode == "nearest" else {}
    return _row("GridSample", f"{mode}-{padding}-{aligned}", _IMAGE, _PLACES, **more, **target)


def _crop(id: str, size: tuple[int, int], **more: Any) -> Row:
    where = np.array([0, 1, 0], np.int32), np.array(size, np.int32)
    return _row("CropAndResize", id, _x(2, 2, 4, 5), _REGIONS, *where, **more)


_X, _IMAGE = _x(2, 3, 4), _x(1, 2, 4, 5)
# Far from pixels' centres and from the borders.
_PLACES = np.array([[[[-0.7, -0.3], [0.25, 0.1]], [[0.68, -0.8], [-0.12, 0.6]]]])
_REGIONS = np.array([[0.14, 0.39, 0.86, 0.86], [0.5, 0.38, -0.17, -0.13], [1.16, 1.11, 0.49, 0.62]])
_WELL = np.eye(3) * 3.0 + _x(2, 3, 3)
_WORDS = np.array([[1, 2, 3, 0], [2, 0, 0, 0], [4, 5, 1, 2]], np.int32)

PADS = np.array([1, -1, 0, 0, 2, 1])
ROWS = [
    _moving("Pad", "plain", _X, PADS),
    _moving("Pad", "value", _X, PADS, _x(1, seed=4)),
    _moving("Pad", "flat", _X, PADS[None], np.array(0.3)),
    _moving("Pad", "reflect", _X, np.abs(PADS), mode="reflect"),
    _moving("Pad", "edge", _X, np.abs(PADS), mode="edge"),
    _double("Trilu", "ms", _X),
    _double("Trilu", "ms-lower", _X, np.array([1]), upper=0),
    *(_moving("ExpandDims", str(axis), _x(2, 3), np.array(axis, np.int32), constants=(1,))
      for axis in (0, 1, -1, -3)),
    _moving("GatherND", "ms", _X, np.array([[0, 1], [1, -1], [1, 2]], np.int32)),
    _moving("GatherND", "ms-scalars", _X, np.array([[[0, 1, 3]]])),
    _moving("UnfoldTensor", "last", _X, size=2),
    _moving("UnfoldTensor", "middle", _x(2, 7, 3), dim=1, size=3, step=2),
    _double("Range", "ms", np.array(0.5), np.array(2.9), np.array(0.7)),
    _double("Range", "ms-ones", np.array([0.5]), np.array([2.9])),
    _moving("Unique", "ms", np.array([2.0, 8.0, 8.0, 14.0, 5.0]), outputs=3, of=(0,),
            expected={0: np.array([1, 1, 0, 1, 1])}),
    _moving("SampleOp", "", _X),
    _moving("NGramRepeatBlock", "", np.array([[1, 2, 3, 1, 2], [1, 2, 3, 1, 5]]), _x(2, 6),
            ngram_size=3, expected={1: [[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1]]}),
    _double("Inverse", "stack", _WELL),
    _double("Inverse", "one", _WELL[0]),
    _double("CDist", "square", _x(3, 4), _x(2, 4, seed=4)),
    _double("CDist", "root", _x(3, 4), _x(2, 4, seed=4), metric="euclidean"),
    _row("CDist", "same", np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]), metric="euclidean",
         expected={0: [[0, 0]], 1: [[0, 0]]}),
    *(_grid(mode, padding, aligned) for mode in ("bilinear", "nearest", "bicubic")
      for padding, aligned in (("zeros", 0), ("border", 1), ("reflection", 0))),
    _crop("plain", (2, 3)),
    _crop("wide", (3, 2), extrapolation_value=0.7),
    _crop("one", (1, 1)),
    _crop("nearest", (3, 4), mode="nearest", wrt=(0,)),
    _row("ConvTransposeWithDynamicPads", "plain", _x(1, 2, 4, 4), _x(2, 3, 3, 3, seed=4),
         np.array([1, 0, 1, 1]), strides=[2, 2], fixed=(1, 2)),
    _row("ConvTransposeWithDynamicPads", "all", _x(1, 2, 4, 4), _x(2, 3, 3, 2, seed=4),
         np.array([1, 0, 2, 1]), _x(6, seed=5), strides=[2, 2], group=2, dilations=[2, 1],
         kernel_shape=[3, 2], output_padding=[1, 1], fixed=(1, 2)),
    _row("WordConvEmbedding", "plain", _WORDS, _x(4, 1, 2, 5), _x(4, seed=4), _x(6, 5, seed=5),
         fixed=(1,)),
]  # fmt: skip
