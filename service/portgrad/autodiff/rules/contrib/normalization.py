"""com.microsoft: normalisation, alone and fused with the sum or the embeddings before it.

Statistics and gates are computed in float32, as the kernels do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN


@body("SkipLayerNormalization", domain=DOMAIN)
def skip_layer_normalization(
    op: Op,
    input: Tensor,
    skip: Tensor,
    gamma: Tensor,
    beta: Tensor | None,
    bias: Tensor | None,
    *,
    epsilon: float,
) -> tuple[Tensor, ...]:
    total = _added(input + skip, bias)
    made: Any = op.LayerNormalization(total, gamma, beta, epsilon=epsilon, outputs=3)
    return *made, total


@body("SkipSimplifiedLayerNormalization", domain=DOMAIN)
def skip_simplified_layer_normalization(
    op: Op,
    input: Tensor,
    skip: Tensor,
    gamma: Tensor,
    bias: Tensor | None,
    *,
    epsilon: float,
) -> tuple[Tensor | Unsupported, ...]:
    total = _added(input + skip, bias)
    wide, wide_gamma = op.widen(total, gamma)
    inv = op.inverse_rms(wide, [-1], epsilon)
    y = op.cast_like(wide * inv * wide_gamma, gamma)
    return y, Unsupported("it subtracts no mean, which its output 'mean' would hold"), inv, total


def _added(x: Tensor, bias: Tensor | None) -> Tensor:
    return x if bias is None else x + bias


@body("EmbedLayerNormalization", domain=DOMAIN)
def embed_layer_normalization(
    op: Op,
    input_ids: Tensor,
    segment_ids: Tensor | None,
    word_embedding: Tensor,
    position_embedding: Tensor,
    segment_embedding: Tensor | None,
    gamma: Tensor,
    beta: Tensor,
    mask: Tensor | None,
    position_ids: Tensor | None,
    *,
    epsilon: float,
) -> tuple[Tensor, ...]:
    words = op.Gather(word_embedding, input_ids)
    total = words + _of_positions(op, position_embedding, position_ids, input_ids)
    if segment_ids is not None and segment_embedding is not None:
        total = total + op.Gather(segment_embedding, segment_ids)
    y = op.LayerNormalization(total, gamma, beta, epsilon=epsilon)
    return y, _counted(op, mask, input_ids), total


def _counted(op: Op, mask: Tensor | None, words: Tensor) -> Tensor:
    """How many words of each example a mask lets through; 0 without a mask."""
    if mask is None:
        zeros = op.ConstantOfShape(op.size(words, 0), value=np.zeros(1, np.int32))
        return op.reshape(zeros, op.dims(words)[:1])
    return op.reduce_sum(op.Cast(op.Equal(mask, 1), to=ir.DataType.INT32), [1], keepdims=False)


def _of_positions(op: Op, table: Tensor, ids: Tensor | None, words: Tensor) -> Tensor:
    """The embeddings of the given positions, or of the first ones."""
    return op.Gather(table, op.iota(op.size(words, -1)) if ids is None else ids)


@body("QEmbedLayerNormalization", domain=DOMAIN)
def qembed_layer_normalization(
    op: Op,
    input_ids: Tensor,
    segment_ids: Tensor | None,
    word_embedding_quant: Tensor,
    position_embedding_quant: Tensor,
    segment_embedding: Tensor | None,
    gamma_quant: Tensor,
    beta_quant: Tensor,
    mask: Tensor | None,
    word_embedding_scale: Tensor,
    position_embedding_scale: Tensor,
    segment_embedding_scale: Tensor | None,
    gamma_scale: Tensor,
    beta_scale: Tensor,
    word_embedding_zero_point: Tensor,
    position_embedding_zero_point: Tensor,
    segment_embedding_zero_point: Tensor | None,
    gamma_zero_point: Tensor,
    beta_zero_point: Tensor,
    *,
    epsilon: float,
) -> tuple[Tensor, ...]:
    def numbers(code: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
        steps = op.single(code)
        if zero_point is not None:
            steps = steps - op.reshape(op.single(zero_point), [])
        return steps * op.reshape(op.single(scale), [])

    words = op.Gather(word_embedding_quant, input_ids)
    places = _of_positions(op, position_embedding_quant, None, input_ids)
    total = numbers(words, word_embedding_scale, word_embedding_zero_point) + numbers(
        places, position_embedding_scale, position_embedding_zero_point
    )
    if (
        segment_ids is not None
        and segment_embedding is not None
        and segment_embedding_scale is not None
    ):
        segments = op.Gather(segment_embedding, segment_ids)
        total = total + numbers(segments, segment_embedding_scale, segment_embedding_zero_point)
    gamma = numbers(gamma_quant, gamma_scale, gamma_zero_point)
    beta = numbers(beta_quant, beta_scale, beta_zero_point)
    y = op.LayerNormalization(total, gamma, beta, epsilon=epsilon)
    return y, _counted(op, mask, input_ids)


@body("GatedRMSNorm", domain=DOMAIN)
def gated_rms_norm(
    op: Op, x: Tensor, scale: Tensor, gate: Tensor, *, activation: str, epsilon: float
) -> Tensor:
    wide, wide_scale, z = op.widen(x, scale, gate)
    [width] = op.dims(scale)
    *lead, whole = op.dims(x)
    groups = op.reshape(wide, [*lead, op.quotient(whole, width), width])
    normal = op.reshape_like(groups * op.inverse_rms(groups, [-1], epsilon) * wide_scale, x)
    s = op.Sigmoid(z)
    return op.cast_like(normal * (s if activation == "sigmoid" else z * s), x)
