"""Operators that make constants, which the runtime computes with constants in float32."""

from __future__ import annotations

import math

import onnx_ir as ir

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@double_body("HammingWindow", instead=True)
def hamming_window(op: Op, size: Tensor, *, periodic: int) -> Tensor:
    return 25 / 46 - op.Cos(_angles(op, size, periodic)) * (21 / 46)


@double_body("BlackmanWindow", instead=True)
def blackman_window(op: Op, size: Tensor, *, periodic: int) -> Tensor:
    angle = _angles(op, size, periodic)
    return op.Cos(angle * 2.0) * 0.08 - op.Cos(angle) * 0.5 + 0.42


def _angles(op: Op, size: Tensor, periodic: int) -> Tensor:
    """Once around a circle for the whole window, which ends where it began or a step before."""
    count = op.as_int64(size)
    steps = op.Cast(op.iota(op.Reshape(count, [1])), to=ir.DataType.DOUBLE)
    whole = op.Cast(count if periodic else op.Sub(count, 1), to=ir.DataType.DOUBLE)
    return steps * (2.0 * math.pi) / whole
