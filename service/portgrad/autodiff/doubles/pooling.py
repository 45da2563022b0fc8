"""Pools, as sums over windows; and local response normalisation, which is one over channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from portgrad.autodiff.doubles.windows import laid, window_sums
from portgrad.autodiff.registry import double_body
from portgrad.autodiff.rules.pooling import taps_that_count
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@double_body("AveragePool")
def average_pool(
    op: Op, x: Tensor, *, count_include_pad: int, kernel_shape: Sequence[int], **geometry: Any
) -> Tensor:
    windows, counts = laid(op, x, kernel_shape, centred=True, **geometry)
    sums = window_sums(op, x, counts, windows)
    if not windows.ragged and (count_include_pad or windows.unpadded):
        return sums / float(math.prod(kernel_shape))
    return sums / taps_that_count(op, x, counts, x, windows, count_include_pad)


@double_body("LpPool")
def lp_pool(op: Op, x: Tensor, *, kernel_shape: Sequence[int], p: int, **geometry: Any) -> Tensor:
    windows, counts = laid(op, x, kernel_shape, centred=True, **geometry)
    return _root(op, window_sums(op, _power(op, x, p), counts, windows), p)


@double_body("GlobalAveragePool")
def global_average_pool(op: Op, x: Tensor) -> Tensor:
    return op.reduce_mean(x, range(2, op.rank(x)))


@double_body("GlobalMaxPool")
def global_max_pool(op: Op, x: Tensor) -> Tensor:
    return op.ReduceMax(x, list(range(2, op.rank(x))))


@double_body("GlobalLpPool")
def global_lp_pool(op: Op, x: Tensor, *, p: int) -> Tensor:
    return _root(op, op.reduce_sum(_power(op, x, p), range(2, op.rank(x))), p)


def _power(op: Op, x: Tensor, p: int) -> Tensor:
    size = op.Abs(x)
    return size if p == 1 else x * x if p == 2 else size ** float(p)


def _root(op: Op, total: Tensor, p: int) -> Tensor:
    return total if p == 1 else op.Sqrt(total) if p == 2 else total ** (1.0 / p)


@double_body("LRN")
def lrn(op: Op, x: Tensor, *, alpha: float, beta: float, bias: float, size: int) -> Tensor:
    batch, channels, *rows = op.dims(x)
    planes = op.reshape(x * x, [batch, 1, channels, op.product(*rows)])
    pads = [(size - 1) // 2, 0, size // 2, 0]
    mean = op.AveragePool(planes, kernel_shape=[size, 1], pads=pads, count_include_pad=1)
    return x * (op.reshape_like(mean, x) * alpha + bias) ** -beta
