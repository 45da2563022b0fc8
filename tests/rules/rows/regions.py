"""Pools over regions of interest."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


_IMAGE = _x(2, 2, 5, 6)
# Well inside, over the image's edges, smaller than a pixel, and far outside; in pixels.
_REGIONS = np.array(
    [[0.7, 0.6, 4.1, 3.3], [-1.3, 2.2, 2.6, 6.1], [2.1, 1.2, 2.5, 1.9], [9.3, 9.1, 12.2, 11.7]]
)
_EXAMPLES = np.array([1, 0, 1, 0])


def _align(id: str, *, scale: float = 1.0, opset: int = 21, **attributes: Any) -> Row:
    options = {"output_height": 2, "output_width": 3, **attributes}
    if scale != 1.0:
        options["spatial_scale"] = scale
    return Row("RoiAlign", [_IMAGE, _REGIONS / scale, _EXAMPLES], options, id=id, opset=opset)


def _pool(regions: list[list[float]], id: str, **attributes: Any) -> Row:
    # Linear in the image while the largest pixels stay the largest; a step of 1 would change them.
    image = np.random.default_rng(2).permutation(60).reshape(2, 1, 5, 6) + 1.0
    return Row(
        "MaxRoiPool",
        [image, np.array(regions)],
        {"pooled_shape": [2, 2], **attributes},
        id=id,
        single_only=True,
        wrt=(0,),  # moved regions jump; the row of a tie has their zeros
    )


ROWS = [
    _align("adaptive"),
    _align("fixed", sampling_ratio=2),
    _align("one-output", output_height=1, output_width=1, scale=0.5),
    _align("from-corners", coordinate_transformation_mode="output_half_pixel"),
    _align(
        "from-corners-fixed",
        coordinate_transformation_mode="output_half_pixel",
        sampling_ratio=1,
        scale=0.25,
    ),
    _align("max", mode="max"),
    _align("max-fixed", mode="max", sampling_ratio=2, scale=0.5),
    _align("max-corners", mode="max", coordinate_transformation_mode="output_half_pixel"),
    # From opset 22 on onnxruntime has no kernel for the forward pass.
    Row(
        "RoiAlign",
        [_IMAGE[:, :1], _REGIONS[:2], _EXAMPLES[:2]],
        {"output_height": 2},
        id="newest",
        opset=22,
        engine="reference",
    ),
    _pool([[0, 0.2, 0.1, 3.7, 3.9], [1, 1.2, 1.1, 5.3, 4.2]], "inside"),
    _pool([[1, -2.2, 2.1, 2.3, 6.9], [0, 8.2, 8.1, 9.9, 9.8]], "over-the-edge"),
    _pool([[0, 2.6, 1.7, 9.4, 8.9], [1, 3.9, 3.8, 1.1, 0.6]], "scaled", spatial_scale=0.6),
    Row(
        "MaxRoiPool",
        [np.array([[[[1.0, 3.0], [3.0, 2.0]]]]), np.array([[0.0, 0.0, 0.0, 1.0, 1.0]])],
        {"pooled_shape": [1, 1]},
        id="tie",
        expected={0: [[[[0.0, 1.0], [0.0, 0.0]]]], 1: [[0.0, 0.0, 0.0, 0.0, 0.0]]},
    ),
]
