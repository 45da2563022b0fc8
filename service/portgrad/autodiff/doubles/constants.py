"""Operators that make constants: windows, whose kernels have constants in float32, and bands."""

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


@double_body("MelWeightMatrix")  # whose kernel takes the edges in float32, and computes in float64
def mel_weight_matrix(
    op: Op,
    num_mel_bins: Tensor,
    dft_length: Tensor,
    sample_rate: Tensor,
    lower_edge_hertz: Tensor,
    upper_edge_hertz: Tensor,
    *,
    output_datatype: int,
) -> Tensor:
    edges = (op.Cast(x, to=ir.DataType.FLOAT) for x in (lower_edge_hertz, upper_edge_hertz))
    sizes = (num_mel_bins, dft_length, sample_rate)
    return op.MelWeightMatrix(*sizes, *edges, output_datatype=output_datatype)


def _angles(op: Op, size: Tensor, periodic: int) -> Tensor:
    """Once around a circle for the whole window, which ends where it began or a step before."""
    count = op.as_int64(size)
    steps = op.Cast(op.iota(op.Reshape(count, [1])), to=ir.DataType.DOUBLE)
    whole = op.Cast(count if periodic else op.Sub(count, 1), to=ir.DataType.DOUBLE)
    return steps * (2.0 * math.pi) / whole
