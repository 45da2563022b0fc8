"""What the models of ai.onnx.ml share: rows of features, products with them, post-transforms.

Everything is said as onnxruntime's kernels compute it, where they depart from the standard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported

_TINY = 1e-7  # what SOFTMAX_ZERO takes for zero


def rows(op: Op, x: Tensor, features: int) -> Tensor:
    """Features as a float matrix with a row for each example; a vector is one example."""
    if x.rank not in {None, 1, 2}:
        raise Unsupported(f"it takes a row or rows of features, not {x.shape}")
    floats = x if x.dtype == ir.DataType.FLOAT else op.Cast(x, to=ir.DataType.FLOAT)
    return floats if x.rank == 2 else op.Reshape(floats, [-1, features])


def matrix(what: str, values: Sequence[float] | None, count: int) -> np.ndarray:
    """An attribute as a matrix of so many rows."""
    held = np.asarray(list(values or ()), np.float32)
    if count < 1 or not held.size or held.size % count:
        raise Unsupported(f"its {held.size} {what} are no {count} rows")
    return held.reshape(count, -1)


def linear(op: Op, x: Tensor, weights: np.ndarray, biases: Sequence[float]) -> Tensor:
    """Features @ weights' transpose + biases."""
    return product(op, rows(op, x, weights.shape[1]), weights, biases)


def product(op: Op, x: Tensor, weights: np.ndarray, biases: Sequence[float]) -> Tensor:
    """Rows @ weights' transpose + biases: one for each column, one for all, or none."""
    operands = [op.constant(weights.astype(np.float32))]
    if len(biases):
        operands.append(op.constant(np.asarray(biases, np.float32)))
    return op.Gemm(x, *operands, transB=1)


def two_columns(op: Op, score: Tensor, kind: str, *, mirrored: bool) -> Tensor:
    """The scores of both classes from that of the second, after a post-transform.

    The runtime takes what is left to 1 for that of the first, or minus that of the second, and of
    the transforms LOGISTIC alone.
    """
    if kind == "PROBIT":
        raise Unsupported("PROBIT leaves half of the scores of two classes unset in the runtime")
    if kind == "LOGISTIC":
        return op.Sigmoid(op.Concat(-score, score, axis=1))
    return op.Concat(-score if mirrored else 1.0 - score, score, axis=1)


def transformed(op: Op, scores: Tensor, kind: str, columns: int) -> Tensor:
    """Scores after a post-transform. Where there is one column, the runtime knows only PROBIT."""
    if kind not in {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"}:
        raise Unsupported(f"its post_transform {kind!r} is not known")
    if kind == "PROBIT":
        return _probit(op, scores)
    if columns == 1 or kind == "NONE":
        return scores
    if kind == "LOGISTIC":
        return op.Sigmoid(scores)
    return op.Softmax(scores, axis=-1) if kind == "SOFTMAX" else _softmax_zero(op, scores)


def _softmax_zero(op: Op, scores: Tensor) -> Tensor:
    """A softmax among the scores that are not 0; the others are v exp(-s) with s the log-sum.

    Where all are 0, it is 0 / 0 in the runtime, and NaN here too.
    """
    counts = op.Abs(scores) > _TINY
    lowest = op.scalar(float(np.finfo(np.float32).min), scores)
    total = op.ReduceLogSumExp(op.Where(counts, scores, lowest), [-1])
    weights = op.Exp(op.Where(counts, scores, op.scalar(0.0, scores)) - total)
    return op.Where(counts, weights, scores * weights)


def _probit(op: Op, scores: Tensor) -> Tensor:
    """√2 erf⁻¹(2 v - 1) by the formula that the runtime takes (S. Winitzki's).

    With x = 2 v - 1, l = -log(1 - x²), a = 2 / (π 0.147) - l / 2, s = √(a² + l / 0.147) it is
    √2 sign(x) √(s - a). Here √(s - a) is |x| √(l / x² / 0.147 / (s + a)), which does not cancel;
    near x = 0, l / x² is 1 + x² / 2, so that the slope is finite. It is infinite at both ends.
    """
    share = 0.147
    x = scores * 2.0 - 1.0
    one = op.scalar(1.0, x)
    rest = (1.0 - x) * (x + 1.0)  # 1 - x² may not be exact
    end = op.Equal(rest, op.scalar(0.0, x))
    log = -op.Log(op.Where(end, op.scalar(0.5, x), rest))
    square = x * x
    small = square < 1e-4
    ratio = op.Where(small, square * 0.5 + 1.0, log / op.Where(small, one, square))
    a = 2.0 / (3.14159 * share) - log * 0.5
    root = op.Sqrt(a * a + log / share) + a
    between = x * op.Sqrt(ratio / (root * share)) * math.sqrt(2.0)
    # Not x · ∞ where it is chosen: ∞ times the cotangent 0 of what is not chosen would be NaN.
    return op.Where(end, x, between) * op.Where(end, op.scalar(math.inf, x), one)
