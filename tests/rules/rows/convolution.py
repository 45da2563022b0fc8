"""Convolutions.

They are linear in each operand, onnxruntime has no double kernels for them and the reference's
grouped ConvTranspose is wrong: so differences in float32 with step 1, which are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(3)


def _row(
    op: str,
    id: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    *,
    bias: int | None = None,
    free: bool = False,
    **attributes: Any,
) -> Row:
    shapes = [x, w] if bias is None else [x, w, (bias,)]
    arrays = [_RNG.standard_normal(shape) for shape in shapes]
    fixed = () if free else (1,)
    return Row(op, arrays, attributes, id=id, fixed=fixed, multilinear=True)


def _conv(id: str, x: tuple[int, ...], w: tuple[int, ...], **options: Any) -> Row:
    return _row("Conv", id, x, w, **options)


def _transpose(id: str, x: tuple[int, ...], w: tuple[int, ...], **options: Any) -> Row:
    return _row("ConvTranspose", id, x, w, **options)


_IMAGE, _KERNEL = (2, 2, 5, 6), (3, 2, 3, 2)
_WIDE = (1, 16, 21, 20)  # more than 400 windows of many channels: a product for each tap

ROWS = [
    _conv("1d", (2, 3, 7), (4, 3, 3)),
    _conv("2d", _IMAGE, _KERNEL),
    _conv("3d", (1, 2, 3, 4, 3), (2, 2, 2, 3, 2)),
    _conv("bias", _IMAGE, _KERNEL, bias=3),
    _conv("1x1", _IMAGE, (3, 2, 1, 1)),
    _conv("kernel-shape", _IMAGE, _KERNEL, kernel_shape=[3, 2], free=True),
    _conv("pads", _IMAGE, _KERNEL, pads=[1, 0, 2, 1]),
    _conv("strides", _IMAGE, _KERNEL, strides=[2, 3]),
    _conv("strides-that-do-not-divide", (1, 2, 6, 8), _KERNEL, strides=[2, 3], pads=[1, 0, 0, 1]),
    _conv("1x1-strides", _IMAGE, (3, 2, 1, 1), strides=[2, 2]),
    _conv("stride-beyond-kernel", (1, 1, 9), (1, 1, 2), strides=[4]),
    _conv("dilations", (1, 2, 7, 6), _KERNEL, dilations=[2, 3], pads=[1, 2, 2, 1]),
    _conv("everything", (2, 4, 9, 8), (6, 2, 3, 2), bias=6, group=2, strides=[2, 1],
          dilations=[2, 2], pads=[2, 1, 0, 1], kernel_shape=[3, 2]),
    _conv("group", (2, 4, 5), (6, 2, 3), group=2, free=True, kernel_shape=[3]),
    _conv("depthwise", (2, 3, 5, 5), (3, 1, 3, 3), group=3, pads=[1, 1, 1, 1]),
    _conv("depthwise-multiplied", (2, 3, 5), (6, 1, 3), group=3, pads=[0, 2]),
    _conv("depthwise-strides", (2, 3, 6, 6), (3, 1, 3, 3), group=3, strides=[2, 2]),
    _conv("depthwise-dilations", (1, 2, 7), (2, 1, 3), group=2, dilations=[2], pads=[3, 1]),
    _conv("depthwise-pads-beyond-kernel", (1, 2, 4), (2, 1, 2), group=2, pads=[3, 2]),
    _conv("one-channel", (2, 1, 5, 4), (3, 1, 2, 3)),
    _conv("many-windows", _WIDE, (2, 16, 2, 2), pads=[1, 1, 0, 0]),
    _conv("many-columns", (2, 16, 3, 63), (16, 16, 2, 3), pads=[1, 1, 0, 2], bias=16),
    _conv("many-columns-dilations", (1, 17, 4, 68), (16, 17, 2, 2), dilations=[3, 2],
          pads=[0, 0, 1, 1]),
    _conv("many-columns-same", (1, 16, 1, 64), (16, 16, 1, 2), auto_pad="SAME_LOWER"),
    _conv("many-columns-fewer-channels", (1, 16, 1, 65), (17, 16, 1, 2)),
    _conv("many-columns-of-padding", (1, 16, 2, 62), (16, 16, 1, 2), pads=[1, 2, 0, 3]),
    _conv("many-columns-groups", (1, 32, 1, 65), (32, 16, 1, 2), group=2),
    _conv("many-windows-depthwise", (1, 2, 21, 20), (2, 1, 2, 2), group=2, pads=[1, 1, 0, 0]),
    _conv("blocks-of-channels", (1, 16, 4, 3), (3, 16, 3, 2), pads=[2, 1, 0, 1]),
    _conv("blocks-dilations", (1, 15, 5), (2, 15, 2), dilations=[3], pads=[3, 0]),
    _conv("blocks-1x1", (2, 16, 2, 3), (3, 16, 1, 1)),
    _conv("blocks-pads-beyond-kernel", (1, 16, 3), (2, 16, 2), pads=[2, 0]),
    _conv("same-upper", _IMAGE, _KERNEL, auto_pad="SAME_UPPER"),
    _conv("same-lower", _IMAGE, _KERNEL, auto_pad="SAME_LOWER"),
    _conv("same-upper-strides", _IMAGE, _KERNEL, auto_pad="SAME_UPPER", strides=[2, 4]),
    _conv("same-lower-strides", (1, 2, 7, 8), (3, 2, 4, 3), auto_pad="SAME_LOWER", strides=[3, 2]),
    _conv("valid", _IMAGE, _KERNEL, auto_pad="VALID", strides=[2, 1]),
    _conv("no-batch", (0, 2, 5, 6), _KERNEL, pads=[1, 0, 0, 1]),
    _transpose("1d", (2, 3, 4), (3, 2, 3)),
    _transpose("2d", (2, 2, 3, 4), (2, 3, 3, 2)),
    _transpose("3d", (1, 2, 2, 3, 2), (2, 2, 2, 2, 3)),
    _transpose("bias", (2, 2, 3, 4), (2, 3, 3, 2), bias=3),
    _transpose("kernel-shape", (2, 2, 3, 4), (2, 3, 3, 2), kernel_shape=[3, 2], free=True),
    _transpose("pads", (2, 2, 3, 4), (2, 3, 3, 3), pads=[1, 0, 2, 1]),
    _transpose("strides", (1, 2, 3, 4), (2, 3, 3, 2), strides=[2, 3]),
    _transpose("dilations", (1, 2, 3, 4), (2, 3, 3, 2), dilations=[2, 3]),
    _transpose("output-padding", (1, 2, 3, 4), (2, 3, 3, 2), strides=[2, 3], pads=[1, 0, 1, 1],
               output_padding=[1, 2]),
    _transpose("output-shape", (1, 2, 3, 4), (2, 3, 3, 2), strides=[2, 3], output_shape=[6, 9]),
    _transpose("output-shape-upper", (1, 2, 3), (2, 3, 4), strides=[2], output_shape=[5],
               auto_pad="SAME_UPPER"),
    _transpose("output-shape-lower", (1, 2, 3), (2, 3, 4), strides=[2], output_shape=[5],
               auto_pad="SAME_LOWER"),
    _transpose("output-shape-larger", (1, 2, 3), (2, 3, 2), strides=[3], output_shape=[10]),
    _transpose("same-upper", (1, 2, 3, 4), (2, 3, 3, 4), strides=[2, 1], auto_pad="SAME_UPPER"),
    _transpose("same-lower", (1, 2, 3, 4), (2, 3, 3, 4), strides=[2, 1], auto_pad="SAME_LOWER"),
    _transpose("same-kernel-below-stride", (1, 2, 3), (2, 3, 2), strides=[3],
               auto_pad="SAME_UPPER"),
    _transpose("valid", (1, 2, 3, 4), (2, 3, 3, 2), strides=[2, 1], auto_pad="VALID"),
    _transpose("group", (2, 4, 5), (4, 3, 3), group=2, strides=[2], bias=6),
    _transpose("many-columns", (1, 16, 2, 64), (16, 16, 2, 3), pads=[0, 1, 1, 1]),
    _transpose("depthwise", (2, 3, 4, 4), (3, 1, 3, 3), group=3, pads=[1, 1, 1, 1], strides=[2, 2]),
]  # fmt: skip
