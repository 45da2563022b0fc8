"""MaxRoiPool: see `portgrad.autodiff.rules.max_roi_pool`."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.rules.max_roi_pool import bins
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.sampling import Taps

_FLOOR = float(np.finfo(np.float32).tiny)  # what the runtime's kernel starts a bin's maximum from


@double_body("MaxRoiPool")
def max_roi_pool(
    op: Op, x: Tensor, rois: Tensor, *, pooled_shape: Sequence[int], spatial_scale: float
) -> Tensor:
    example = op.Cast(op.Gather(rois, op.index(0), axis=1), to=ir.DataType.INT64)
    pixels = [
        bins(op, rois, op.dims(x)[2 + place], pooled_shape[place], place, spatial_scale)
        for place in (0, 1)
    ]
    taps = [Taps(index, rois, rois) for index, _ in pixels]  # pixels are read, not weighed
    samples = op.samples(x, op.unsqueeze(example, 1, 2, 3, 4), taps)
    active = functools.reduce(op.And, [there for _, there in pixels])
    listed = op.Where(op.unsqueeze(active, -1), samples.values, op.scalar(_FLOOR, x))
    most = op.Max(op.ReduceMax(listed, [3, 4], keepdims=0), _FLOOR)
    counted = op.ReduceMax(op.Cast(active, to=ir.DataType.INT32), [3, 4], keepdims=0)
    some = op.unsqueeze(op.Cast(counted, to=ir.DataType.BOOL), -1)
    return op.Transpose(op.Where(some, most, op.scalar(0.0, x)), perm=[0, 3, 1, 2])
