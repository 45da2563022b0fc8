"""ai.onnx.ml: operators that move features about."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.classical import DOMAIN


@body("ArrayFeatureExtractor", domain=DOMAIN)
def array_feature_extractor(op: Op, x: Tensor, y: Tensor) -> Tensor:
    rows = op.unsqueeze(x, 0) if op.rank(x) == 1 else x
    return op.Gather(rows, op.Reshape(y, [-1]), axis=-1)


@body("FeatureVectorizer", domain=DOMAIN)
def feature_vectorizer(op: Op, x: list[Tensor], *, inputdimensions: list[int] | None) -> Tensor:
    widths = list(inputdimensions or ())
    if len(widths) != len(x):
        raise Unsupported(f"it has {len(x)} operands and {len(widths)} inputdimensions")
    return op.Concat(*(_fitted(op, part, n) for part, n in zip(x, widths, strict=True)), axis=1)


def _fitted(op: Op, x: Tensor, width: int) -> Tensor:
    """An operand as float rows of a given width: what is too long is cut, what is short padded."""
    rank = op.rank(x)
    if rank > 2:
        examples, *others = op.dims(x)
        x = op.reshape(x, [examples, op.product(*others)])
    rows = op.unsqueeze(x, 0) if rank == 1 else x
    floats = rows if rows.dtype == ir.DataType.FLOAT else op.Cast(rows, to=ir.DataType.FLOAT)
    if op.known_size(floats, 1) == width:
        return floats
    zeros = op.constant(np.zeros((1, width), np.float32))
    examples = op.vector([op.dims(floats)[0], 1])
    longer = op.Concat(floats, op.Expand(zeros, examples), axis=1)
    return op.Slice(longer, op.ints(0), op.ints(width), op.ints(1))
