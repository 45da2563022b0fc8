"""Operators that are differentiated through the function bodies that the standard gives them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


def _attention(
    id: str, *operands: np.ndarray | None, outputs: int | str = 1, opset: int = 23, **more: Any
) -> Row:
    return Row("Attention", operands, more, id=id, outputs=outputs, opset=opset)


# (batch, heads, length, size): two queries to three keys.
_Q, _K, _V = _x(2, 2, 2, 4), _x(2, 2, 3, 4, seed=6), _x(2, 2, 3, 3, seed=7)
_FLAT = _x(2, 2, 8), _x(2, 3, 8, seed=6), _x(2, 3, 6, seed=7)
_SHARED = _x(1, 4, 2, 2), _x(1, 2, 3, 2, seed=6), _x(1, 2, 3, 2, seed=7)
_PAST = _x(2, 2, 2, 4, seed=8), _x(2, 2, 2, 3, seed=9)
_BIAS, _ALLOWED = _x(2, 3, seed=10), np.array([[True, False, True], [True, True, False]])

ATTENTIONS = [
    _attention("plain", _Q, _K, _V),
    _attention("newest", _Q, _K, _V, opset=25),
    _attention("bias", _Q, _K, _V, _BIAS),
    _attention("bias-by-head", _Q, _K, _V, _x(2, 1, 2, 3, seed=10), opset=24),
    _attention("allowed", _Q, _K, _V, _ALLOWED, scale=0.3),
    _attention("nothing-allowed", _Q, _K, _V, _ALLOWED & [[True], [False]], opset=24),
    _attention("causal", _Q, _K, _V, is_causal=1),
    _attention("softcap", _Q, _K, _V, softcap=1.5, opset=24),
    _attention("flat", *_FLAT, q_num_heads=2, kv_num_heads=2),
    _attention("shared-heads", *_SHARED, _BIAS, is_causal=1),
    _attention("flat-shared-heads", _x(1, 2, 8), _x(1, 3, 4), _x(1, 3, 4, seed=7), q_num_heads=4,
               kv_num_heads=2, opset=24),
    _attention("past", _Q, _K, _V, None, *_PAST, outputs=3),
    _attention("past-newest", _Q, _K, _V, _x(2, 5, seed=10), *_PAST, outputs=3, is_causal=1,
               opset=25),
    *(
        _attention(f"scores-{mode}", _Q, _K, _V, _BIAS, outputs="1001", softcap=2.0,
                   qk_matmul_output_mode=mode, opset=24)
        for mode in range(4)
    ),
    _attention("padded", _Q, _K, _V, None, None, None, np.array([3, 2]), opset=24),
    _attention("window", _Q, _K, _V, left_window_size=1, right_window_size=0, opset=25),
]  # fmt: skip


def _rotary(id: str, x: np.ndarray, width: int, **more: int) -> Row:
    cache = _x(6, width, seed=6), _x(6, width, seed=7)
    places = np.array([[0, 5, 2], [3, 3, 1]])
    # The reference has no form without heads in attributes where x is flat.
    return Row("RotaryEmbedding", [x, *cache, places], more, id=id, opset=23)


ROTARIES = [
    _rotary("plain", _x(2, 2, 3, 4), 2),
    _rotary("interleaved", _x(2, 2, 3, 4), 2, interleaved=1),
    _rotary("flat", _x(2, 3, 8), 2, num_heads=2),
    _rotary("partial", _x(2, 2, 3, 6), 2, rotary_embedding_dim=4),
    Row(
        "RotaryEmbedding",
        [_x(2, 2, 3, 4), _x(2, 3, 2, seed=6), _x(2, 3, 2, seed=7)],
        {"interleaved": 1},
        id="no-places",
        opset=28,
    ),
]

_KEYS, _VALUES = _x(1, 3, 4, seed=6), _x(1, 3, 6, seed=7)
_DECAY, _BETA = -np.abs(_x(1, 3, 4, seed=8)), np.abs(_x(1, 3, 2, seed=9))
_STATE = _x(1, 2, 2, 3, seed=10)


def _linear(rule: str, id: str, *operands: np.ndarray | None, **more: Any) -> Row:
    heads = {"q_num_heads": 2, "kv_num_heads": 2, **more}
    # In float32, as the state of its body is.
    return Row(
        "LinearAttention",
        operands,
        {"update_rule": rule, **heads},
        id=f"{rule}-{id}",
        outputs=2,
        opset=27,
        single_only=True,
    )


LINEAR_ATTENTIONS = [
    _linear("linear", "plain", _x(1, 3, 4), _KEYS, _VALUES),
    _linear("gated", "past", _x(1, 3, 4), _KEYS, _VALUES, _STATE, _DECAY, scale=0.4),
    _linear("gated", "by-head", _x(1, 3, 4), _KEYS, _VALUES, None, _DECAY[..., :2]),
    _linear("delta", "plain", _x(1, 3, 4), _KEYS, _VALUES, None, None, _BETA),
    _linear(
        "gated_delta", "shared", _x(1, 3, 8), _KEYS, _VALUES, _STATE, _DECAY, _BETA, q_num_heads=4
    ),
]

_SERIES, _KERNEL = _x(2, 3, 4), _x(3, 1, 3, seed=6)


def _causal(id: str, *operands: np.ndarray | None, **more: str) -> Row:
    # onnxruntime has no double kernel of the transposed convolution in its derivative; and the body
    # needs the number of channels.
    return Row(
        "CausalConvWithState",
        operands,
        more,
        id=id,
        outputs=2,
        opset=27,
        single_only=True,
        fixed=(0, 1),
    )


ROWS = [
    *ATTENTIONS,
    *ROTARIES,
    *LINEAR_ATTENTIONS,
    _causal("plain", _SERIES, _KERNEL),
    _causal("bias", _SERIES, _KERNEL, _x(3, seed=7), activation="silu"),
    _causal("past", _SERIES, _KERNEL, None, _x(2, 3, 2, seed=8), activation="swish"),
    _causal("all", _SERIES, _KERNEL, _x(3, seed=7), _x(2, 3, 2, seed=8)),
    Row("SwiGLU", [_x(2, 3), _x(2, 3, seed=6)], opset=28),
    Row("SwiGLU", [_x(2, 3), _x(2, 3, seed=6)], {"alpha": 1.7}, id="alpha", opset=28),
]
