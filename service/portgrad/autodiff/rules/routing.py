"""The choice of the greatest in each row, as routers choose experts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


def greatest(op: Op, x: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest of the last axis and where they lie; the first ones among ties."""
    values, places = _top(op, x, count)
    return values, places


def chosen(op: Op, x: Tensor, count: Tensor) -> Tensor:
    """Which elements are among the greatest of the last axis; the first ones among ties."""
    _, places = greatest(op, x, count)
    zeros, ones = (
        op.ConstantOfShape(op.shape(like), value=np.full(1, number, np.int64))
        for like, number in ((x, 0), (places, 1))
    )
    marked = op.ScatterElements(zeros, places, ones, axis=-1)
    return op.shaped_as(op.Cast(marked, to=ir.DataType.BOOL), x)


def _top(op: Op, x: Tensor, count: Tensor) -> Any:
    return op.TopK(x, count, axis=-1, outputs=2)
