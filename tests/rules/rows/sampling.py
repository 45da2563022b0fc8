"""Interpolation of images: every mode, padding and number of axes."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np

from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


def _grid(*shape: int, seed: int = 9) -> np.ndarray:
    """Points in and around an image of sizes 3 to 5, none near a pixel's centre or edge."""
    rng = np.random.default_rng(seed)
    # In steps of 2/60 off by 1/50, a point is no multiple of 1/3, 1/4 or 1/5.
    return rng.integers(-55, 55, shape) / 30.0 + 0.02


_IMAGE, _POINTS = _x(2, 2, 4, 5), _grid(2, 2, 3, 2)
_VOLUME, _PLACES = _x(1, 2, 3, 4, 3), _grid(1, 2, 1, 2, 3)


def _sampled(x: np.ndarray, grid: np.ndarray, mode: str, padding: str, aligned: int) -> Row:
    return Row(
        "GridSample",
        [x, grid],
        {"mode": mode, "padding_mode": padding, "align_corners": aligned},
        id=f"{x.ndim - 2}d-{mode}-{padding}-{'aligned' if aligned else 'edges'}",
        # The reference rounds coordinates to float32.
        engine="onnxruntime",
    )


_PADDINGS = list(itertools.product(("zeros", "border", "reflection"), (0, 1)))

ROWS = [
    *(
        _sampled(_IMAGE, _POINTS, mode, padding, aligned)
        for mode in ("nearest", "linear", "cubic")
        for padding, aligned in _PADDINGS
    ),
    *(
        _sampled(_VOLUME, _PLACES, mode, padding, aligned)
        for mode in ("nearest", "linear")
        for padding, aligned in _PADDINGS
    ),
    Row("GridSample", [_IMAGE, _POINTS], id="defaults-newest", opset=22, engine="onnxruntime"),
    Row(
        "GridSample",
        [_x(1, 1, 1, 3), _grid(1, 1, 2, 2)],
        {"padding_mode": "reflection", "align_corners": 1},
        id="one-row-reflected",
        engine="onnxruntime",
    ),
    # A point on a pixel's centre, with ones imposed: the image's slopes 2 and 10 to the next one.
    Row(
        "GridSample",
        [
            np.array([[[[0.0, 1.0, 3.0], [4.0, 7.0, 13.0], [9.0, 17.0, 21.0]]]]),
            np.zeros((1, 1, 1, 2)),
        ],
        id="at-a-centre",
        expected={0: [[[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]], 1: [[[[9.0, 15.0]]]]},
    ),
    *(
        Row(
            "AffineGrid",
            [_x(2, axes, axes + 1), np.asarray([2, 3, *(3, 4, 2)[:axes]], np.int64)],
            {"align_corners": aligned},
            id=f"{axes}d-{'aligned' if aligned else 'edges'}",
            constants=(1,) if aligned else (),
            fixed=(1,),
        )
        for axes in (2, 3)
        for aligned in (0, 1)
    ),
]
