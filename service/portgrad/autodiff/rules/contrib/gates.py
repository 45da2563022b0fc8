"""com.microsoft: gates of newer language models, in float32 as their kernels compute them."""

from __future__ import annotations

import math

from portgrad.autodiff.registry import body
from portgrad.autodiff.rules.routing import chosen, greatest
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN


@body("ScaledSiLU", domain=DOMAIN)
def scaled_silu(op: Op, x: Tensor, scale: Tensor | None, *, alpha: float) -> Tensor:
    [wide] = op.widen(x)
    z = wide * (alpha if scale is None else op.widen(scale)[0])
    return op.cast_like(z * op.Sigmoid(z), x)


@body("GatedAdd", domain=DOMAIN)
def gated_add(op: Op, x: Tensor, y: Tensor, gate: Tensor, gate_weight: Tensor | None) -> Tensor:
    if gate_weight is not None:
        raise Unsupported(
            "onnxruntime has no CPU kernel of it with gate_weight",
            remedy="Write the projection of the gate as a MatMul and a Sigmoid.",
        )
    return x + y * gate


@body("LinearAttentionGate", domain=DOMAIN)
def linear_attention_gate(
    op: Op, a: Tensor, dt_bias: Tensor, decay_scale: Tensor, b: Tensor | None
) -> tuple[Tensor | None, ...]:
    wide, bias, factor = op.widen(a, dt_bias, decay_scale)
    decay = op.Softplus(wide + bias) * factor
    return op.cast_like(decay, a), None if b is None else op.Sigmoid(b)


@body(
    "EngramGate",
    domain=DOMAIN,
    kink="0 where the product of key and query is less than a millionth",
)
def engram_gate(
    op: Op,
    key: Tensor,
    query: Tensor,
    value: Tensor,
    key_norm_scale: Tensor,
    query_norm_scale: Tensor,
    conv_norm_scale: Tensor | None,
    *,
    epsilon: float,
) -> tuple[Tensor | None, ...]:
    k, k_scale, q, q_scale, v = op.widen(key, key_norm_scale, query, query_norm_scale, value)
    k, q = (x * op.inverse_rms(x, [-1], epsilon) * s for x, s in ((k, k_scale), (q, q_scale)))
    share = op.share(k, op.reduce_mean(k, [-1]), [op.rank(k) - 1])
    dot = op.reduce_sum(k * q, [-1]) * op.Sqrt(share)
    root = op.Sqrt(op.Max(op.Abs(dot), 1e-6))
    signed = op.Where(dot > 0.0, root, op.Where(dot < 0.0, -root, op.scalar(0.0, root)))
    gated = op.Sigmoid(signed) * op.unsqueeze(v, 2)
    normed = None
    if conv_norm_scale is not None:
        normal = gated * op.inverse_rms(gated, [-1], epsilon) * op.widen(conv_norm_scale)[0]
        normed = op.cast_like(normal, key)
    return op.cast_like(gated, key), normed


@body("MoEGroupRouter", domain=DOMAIN, kink="among ties, the lower expert is chosen")
def moe_group_router(
    op: Op,
    logits: Tensor,
    expert_bias: Tensor,
    projection_weight: Tensor | None,
    *,
    group_topk: int,
    n_group: int,
    router_sentinel: float,
    top_k: int,
    topk_group: int,
) -> tuple[Tensor, ...]:
    rows, bias = op.widen(logits, expert_bias)
    *lead, width = op.dims(rows)
    rows = op.reshape(rows, [op.product(*lead), width])
    if projection_weight is not None:
        rows = op.Gemm(rows, op.widen(projection_weight)[0], transB=1)
    s = op.Sigmoid(rows)
    biased = s + bias
    tokens, experts = op.dims(rows)
    size = op.quotient(experts, n_group)
    groups = op.reshape(biased, [tokens, n_group, size])
    best, _ = greatest(op, groups, op.Min(op.vector([size]), group_topk))
    open_groups = chosen(op, op.reduce_sum(best, [2], keepdims=False), op.ints(topk_group))
    lowest = op.scalar(-math.inf, biased)
    within = op.reshape_like(op.Where(op.unsqueeze(open_groups, 2), groups, lowest), biased)
    kept = chosen(op, within, op.ints(top_k))
    scores = op.Where(kept, op.Log(op.Max(s, 1e-20)), op.scalar(router_sentinel, s))
    return op.cast_like(scores, logits), biased, s
