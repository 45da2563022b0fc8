"""com.microsoft: gates, experts, causal convolution, linear attention. Kernels are in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from rules.rows.contrib import row as _row
from support.rig import Row
from support.rows import normal as _x


def _codes(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


_X, _Y = _x(2, 3, 4), _x(2, 3, 4, seed=4)
_KEYS = _x(2, 3, 2, 4), _x(2, 3, 2, 4, seed=4), _X, _x(2, 4, seed=5), _x(2, 4, seed=6)
GATES = [
    _row("ScaledSiLU", "alpha", _X, alpha=0.7),
    _row("ScaledSiLU", "scale", _X, np.array(0.7)),
    _row("GatedAdd", "", _X, _Y, _x(2, 3, 1, seed=5)),
    _row("LinearAttentionGate", "decay", _X, _x(4, seed=5), _x(4, seed=6)),
    _row("LinearAttentionGate", "both", _X, _x(4, seed=5), _x(4, seed=6), _Y, outputs=2),
    _row("EngramGate", "plain", *_KEYS),
    _row("EngramGate", "normed", *_KEYS, _x(2, 4, seed=7), outputs=2, epsilon=0.1),
    _row("MoEGroupRouter", "experts", _x(3, 6), _x(6, seed=4), wrt=(0,), top_k=2),
    _row("MoEGroupRouter", "groups", _x(3, 8), _x(8, seed=4), wrt=(0,), top_k=3, n_group=4,
         topk_group=2, group_topk=1, router_sentinel=-5.0),
    _row("MoEGroupRouter", "scores", _x(3, 6), _x(6, seed=4), outputs="011", top_k=2),
    _row("MoEGroupRouter", "projected", _x(3, 256) * 0.1, _x(6, seed=4), _x(6, 256, seed=5) * 0.1,
         outputs="011", top_k=2),
]  # fmt: skip


def _moe(activation: str, id: str = "", **more: Any) -> Row:
    wide = 8 if activation == "swiglu" else 4
    biases = (_x(3, wide, seed=6), _x(3, 4, seed=8)) if id != "bare" else (None, None)
    operands = (_TOKENS, _SCORES, _x(3, wide, 4, seed=5), biases[0], _x(3, 4, 4, seed=7), biases[1])
    more = {"activation_type": activation, "k": 2, **more}
    return _row("MoE", f"{activation}{id and '-'}{id}", *operands, **more)


def _qmoe(id: str, bits: int, block: int, *, zeros: bool = False, **more: Any) -> Row:
    scales = ((3, 16, 1), (3, 16, 1)) if block else ((3, 16), (3, 16))
    first, second = (_codes(3, 16, 2 * bits, seed=seed) for seed in (5, 6))
    size = (3, 16, 1) if block else (3, 2 * bits)
    points = [None, None, None, _codes(*size, seed=7), _codes(*size, seed=8)] if zeros else []
    given = [None] * (7 if not zeros else 2) if "router" in id else []
    weights = [np.abs(_x(5, 3, seed=9))] if given else []
    operands = (_x(5, 16), _SCORES, first, _x(*scales[0], seed=9) / 2**bits, None, second,
                _x(*scales[1], seed=10) / 2**bits, None, *points, *given, *weights)  # fmt: skip
    more = {"k": 2, "expert_weight_bits": bits, **({"block_size": block} if block else {}), **more}
    fixed = tuple(i for i, x in enumerate(operands) if x is not None and x.dtype == np.uint8)
    return _row("QMoE", id, *operands, activation_type="identity", fixed=fixed, **more)


_TOKENS = _x(5, 4)
# Far from ties, so that small steps choose the same experts.
_SCORES = np.array([[2.0, 0.1, 1.0], [0.2, 1.9, 1.0], [0.0, 1.1, 2.1], [1.5, 0.4, -1], [3, 2, 1]])
EXPERTS = [
    *(_moe(activation) for activation in ("gelu", "silu", "identity")),
    _moe("identity", "normalised", normalize_routing_weights=1),
    _moe("silu", "bare"),
    _moe("swiglu", swiglu_fusion=1, activation_alpha=1.3, activation_beta=0.5),
    _row("MoE", "stack", _x(1, 5, 4), _SCORES, _x(3, 4, 4, seed=5), None, _x(3, 4, 4, seed=7),
         activation_type="identity"),
    *(_qmoe(f"{bits}", bits, 0) for bits in (2, 4, 8)),
    *(_qmoe(f"{bits}-blocks", bits, 16) for bits in (2, 4, 8)),
    _qmoe("4-zero-points", 4, 0, zeros=True),
    _qmoe("2-blocks-zero-points", 2, 16, zeros=True),
    _qmoe("router", 4, 0),
    _qmoe("router-normalised", 4, 0, normalize_routing_weights=1),
]  # fmt: skip

_SIGNAL = _x(2, 3, 6), _x(3, 1, 4, seed=4)
_PACKED = np.array([0, 2, 5], np.int32)
CAUSAL = [
    _row("CausalConvWithState", "ms-plain", *_SIGNAL, outputs=2, fixed=(1,)),
    _row("CausalConvWithState", "ms-all", *_SIGNAL, _x(3, seed=5), _x(2, 3, 3, seed=6), outputs=2,
         fixed=(1,), activation="silu"),
    _row("CausalConvWithState", "ms-dilated", _x(2, 3, 6), _x(3, 1, 3, seed=4), None,
         _x(2, 3, 4, seed=6), outputs=2, fixed=(1,), activation="swish", dilation=2),
    _row("CausalConvWithState", "ms-short", _x(2, 3, 2), _x(3, 1, 4, seed=4), outputs=2,
         fixed=(1,)),
    _row("CausalConvWithState", "ms-last", _x(2, 6, 3), _x(3, 1, 4, seed=4), _x(3, seed=5),
         _x(2, 3, 3, seed=6), outputs=2, fixed=(1,), channels_last=1),
    _row("CausalConvWithState", "ms-last-axes", _x(2, 6, 3, 2), _x(6, 1, 4, seed=4), None,
         _x(2, 3, 3, 2, seed=6), outputs=2, fixed=(1,), channels_last=1),
    _row("VarlenCausalConvWithState", "plain", _x(5, 3), _x(3, 1, 4, seed=4), _PACKED, None,
         _x(2, 3, 3, seed=6), outputs=2),
    _row("VarlenCausalConvWithState", "all", _x(5, 3), _x(3, 1, 3, seed=4), _PACKED,
         _x(3, seed=5), _x(2, 3, 4, seed=6), outputs=2, activation="silu", dilation=2),
    _row("VarlenCausalConvWithState", "captured", _x(5, 3), _x(3, 1, 3, seed=4), _PACKED, None,
         _x(2, 3, 2, seed=6), np.array([1, 2], np.int32), outputs=3, of=(0, 1),
         state_update_capacity=2),
]  # fmt: skip


def _linear(id: str, q: int, k: int, kv: int, *more: np.ndarray | None, **attributes: Any) -> Row:
    operands = _x(2, 3, 3 * q), _x(2, 3, 3 * k, seed=4) * 0.5, _x(2, 3, 2 * kv, seed=5)
    heads = {"q_num_heads": q, "kv_num_heads": kv}
    return _row("LinearAttention", f"ms-{id}", *operands, *more, outputs=2, **heads, **attributes)


def _delta(id: str, *operands: np.ndarray | None, **more: Any) -> Row:
    return _row("GatedDeltaNet", id, *operands, **{"outputs": 2, **more})


_STATE, _DECAY, _BETA = _x(2, 2, 3, 2, seed=6), _x(2, 3, 2, seed=7), _x(2, 3, 2, seed=8)
_QKV = _x(6, 1, 3), _x(6, 1, 3, seed=4) * 0.5, _x(6, 2, 2, seed=5)
_FOUR = [x.reshape(2, 3, *x.shape[1:]) for x in _QKV]
_TURNED = _x(2, 2, 2, 3, seed=6)
_FLAT = [_DECAY.reshape(6, 2), _BETA.reshape(6, 2)]
LINEAR = [
    _linear("linear", 2, 2, 2, _STATE, update_rule="linear"),
    _linear("gated", 2, 2, 2, None, _DECAY, update_rule="gated", scale=0.3),
    _linear("delta", 2, 2, 2, _STATE, None, _BETA, update_rule="delta"),
    _linear("gated-delta", 2, 2, 2, _STATE, _DECAY, _BETA),
    _linear("by-size", 2, 2, 2, None, _x(2, 3, 6, seed=7), _x(2, 3, 1, seed=8)),
    _linear("shared-states", 4, 2, 2, _STATE, _DECAY, _BETA),
    _linear("shared-queries", 1, 1, 2, None, _DECAY, _BETA),
    _linear("shared-queries-alone", 1, 2, 2, None, _DECAY, _BETA),
    _delta("packed", *_QKV, None, *_FLAT, _TURNED),
    _delta("stack", *_FOUR, None, _DECAY, _BETA),
    _delta("stack-state", *_FOUR, None, _DECAY, _BETA, _TURNED, scale=0.3),
    _delta("linear", *_FOUR, None, None, None, _TURNED, update_rule="linear"),
    _delta("gated", *_FOUR, None, _DECAY, None, _TURNED, update_rule="gated"),
    _delta("delta", *_FOUR, None, None, _BETA, _TURNED, update_rule="delta"),
    _delta("normal", *_FOUR, None, _DECAY, _BETA, _TURNED, qk_l2_norm=1,
           beta_activation="sigmoid"),
    _delta("softplus", *_FOUR, None, _DECAY, _BETA, _TURNED, _x(2, seed=9), _x(2, seed=10),
           gate_activation="softplus"),
    _delta("kda", *_FOUR, None, _x(2, 3, 2, 3, seed=7), _BETA, _TURNED, _x(2, seed=9),
           _x(2, 3, seed=10), gate_activation="kda", gate_lower_bound=-2.0),
    _delta("kda-flat", *_FOUR, None, _x(2, 3, 2, 3, seed=7), _BETA, _TURNED, _x(2, seed=9),
           _x(6, seed=10), gate_activation="sigmoid"),
    _delta("one-tensor", _x(6, 10), None, None, None, *_FLAT, _TURNED),
]  # fmt: skip

ROWS = [*GATES, *EXPERTS, *CAUSAL, *LINEAR]
