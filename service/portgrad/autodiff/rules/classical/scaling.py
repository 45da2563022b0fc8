"""ai.onnx.ml: operators that rescale or replace features.

An attribute has one number for all, or one for each feature. The features are those of axis 1
(axis 0 of a single row), and the runtime counts elements through modulo their number, whatever
axes follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.classical import DOMAIN


@body("Scaler", domain=DOMAIN)
def scaler(
    op: Op, x: Tensor, *, offset: Sequence[float] | None, scale: Sequence[float] | None
) -> Tensor:
    offsets, scales = list(offset or ()), list(scale or ())
    if not scales or len(offsets) != len(scales):
        raise Unsupported(f"it has {len(scales)} scales and {len(offsets)} offsets")
    floating = x if x.floating else op.Cast(x, to=ir.DataType.FLOAT)

    def scaled(rows: Tensor) -> Tensor:
        return (rows - _numbers(op, offsets, rows)) * _numbers(op, scales, rows)

    return _to_float(op, _by_feature(op, floating, len(scales), scaled))


@body("Imputer", domain=DOMAIN, kink="0 where an element is replaced")
def imputer(
    op: Op, x: Tensor, *, imputed_value_floats: Sequence[float] | None, replaced_value_float: float
) -> Tensor | None:
    if not x.floating:
        return None
    values = list(imputed_value_floats or ())
    if not values:
        raise Unsupported("it has no imputed_value_floats")
    replaced, given = op.scalar(replaced_value_float, x), _imputed(op, x, values)

    def imputed(rows: Tensor) -> Tensor:
        missing = op.IsNaN(rows) if np.isnan(replaced_value_float) else op.Equal(rows, replaced)
        return op.Where(missing, given, rows)

    return _by_feature(op, x, op.known_size(given, 0) or 1, imputed)


def _imputed(op: Op, x: Tensor, values: Sequence[float]) -> Tensor:
    """What is imputed: one number for all, also where there are not as many as features."""
    if len(values) == 1:
        return _numbers(op, values, x)
    features = op.dims(x)[0 if op.rank(x) == 1 else 1]
    if isinstance(features, int):
        return _numbers(op, values if features == len(values) else values[:1], x)
    if op.rank(x) > 2:
        raise Unsupported("the number of its features is not known before the net runs")
    as_many = op.Cast(op.Equal(features, op.ints(len(values))), to=ir.DataType.INT64)
    return op.Gather(_numbers(op, values, x), op.iota(features) * as_many)


@body(
    "Normalizer",
    domain=DOMAIN,
    kink="L1 and L2: 0 where a row is 0, L1 also at a 0; MAX: even among ties, and the row "
    "passes where its largest element is 0",
)
def normalizer(op: Op, x: Tensor, *, norm: str) -> Tensor:
    if x.rank not in {None, 1, 2}:
        raise Unsupported(f"it takes a row or rows of features, not {x.shape}")
    if norm not in {"MAX", "L1", "L2"}:
        raise Unsupported(f"its norm {norm!r} is not known")
    rows = _to_float(op, x)
    if norm == "MAX":
        most = op.ReduceMax(rows, [-1])
        none = op.Equal(most, op.scalar(0.0, most))
        return op.Where(none, rows, rows / _or_one(op, none, most))
    size = op.ReduceL1(rows, [-1]) if norm == "L1" else op.ReduceL2(rows, [-1])
    none = op.Equal(size, op.scalar(0.0, size))
    inverse = op.Reciprocal(_or_one(op, none, size))
    return rows * op.Where(none, op.scalar(0.0, size), inverse)


def _or_one(op: Op, none: Tensor, divisor: Tensor) -> Tensor:
    return op.Where(none, op.scalar(1.0, divisor), divisor)


def _to_float(op: Op, x: Tensor) -> Tensor:
    return x if x.dtype == ir.DataType.FLOAT else op.Cast(x, to=ir.DataType.FLOAT)


def _numbers(op: Op, numbers: Sequence[float], like: Tensor) -> Tensor:
    """The numbers of an attribute, which are float32, in another tensor's dtype."""
    return op.constant(np.asarray(numbers, np.float32).astype(like.dtype.numpy()))


def _by_feature(op: Op, x: Tensor, count: int, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of rows that broadcasts so many numbers over them, applied to x."""
    if count == 1 or x.rank in {1, 2}:
        return function(x)
    return op.reshape_like(function(op.Reshape(x, [-1, count])), x)
