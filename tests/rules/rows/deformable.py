"""DeformConv: groups, offset groups, strides, padding, dilation, with and without bias and mask."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


def _moved(*shape: int) -> np.ndarray:
    """Offsets that stay clear of pixels' centres, some beyond the image."""
    rng = np.random.default_rng(3)
    return rng.integers(-2, 2, shape) + rng.uniform(0.1, 0.9, shape)


def _deform(
    id: str,
    out: tuple[int, int],
    *,
    channels: int = 2,
    kernel: tuple[int, int] = (2, 2),
    rows: int = 2,
    bias: bool = False,
    mask: bool = False,
    opset: int = 21,
    **attributes: Any,
) -> Row:
    taps = kernel[0] * kernel[1] * attributes.get("offset_group", 1)
    weight = _x(rows, channels // attributes.get("group", 1), *kernel, seed=6)
    operands: list[np.ndarray | None] = [_x(2, channels, 4, 3), weight, _moved(2, 2 * taps, *out)]
    operands.append(_x(rows, seed=7) if bias else None)
    operands.append(_x(2, taps, *out, seed=8) if mask else None)
    while operands[-1] is None:
        operands.pop()
    # The kernel's sizes stay numbers: its taps are counted when compiling.
    return Row(
        "DeformConv",
        operands,
        attributes,
        id=id,
        opset=opset,
        fixed=(1,),
    )


ROWS = [
    _deform("plain", (3, 2)),
    _deform("bias", (3, 2), bias=True, kernel_shape=[2, 2]),
    _deform("mask", (3, 2), mask=True),
    _deform("both-newest", (3, 2), bias=True, mask=True, opset=22),
    _deform("padded", (5, 3), mask=True, pads=[1, 0, 1, 1]),
    _deform("strided-dilated", (2, 2), bias=True, strides=[2, 1], dilations=[1, 1], pads=[0] * 4),
    _deform("dilated", (2, 1), dilations=[2, 2], kernel=(2, 2)),
    _deform("groups", (3, 2), channels=4, rows=4, group=2, bias=True, mask=True),
    _deform("offset-groups", (3, 2), channels=4, offset_group=2, mask=True),
    _deform("both-groups", (3, 2), channels=4, rows=4, group=4, offset_group=2, mask=True),
    _deform("fewer-groups", (3, 2), channels=4, rows=2, group=2, offset_group=4),
    _deform("one-tap", (4, 3), kernel=(1, 1), mask=True),
    _deform("tall", (2, 3), kernel=(3, 1), bias=True),
]
