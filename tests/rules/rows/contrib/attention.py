"""com.microsoft: attentions and rotary positions, in float32, which the runtime has them in."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from rules.rows.contrib import row as _row
from support.rig import Row
from support.rows import normal

_x = partial(normal, seed=5)


def _ints(*values: Any) -> np.ndarray:
    return np.array(values, np.int32)


# Batch 2, length 3, hidden 8 in 2 heads; projected to 24 columns.
_IN, _W, _B = _x(2, 3, 8), 0.4 * _x(8, 24, seed=6), _x(24, seed=7)
_PAST = _x(2, 2, 2, 2, 4, seed=8)


def _attention(id: str, *operands: np.ndarray | None, **more: Any) -> Row:
    return _row("Attention", f"ms-{id}", *operands, num_heads=2, **more)


ATTENTIONS = [
    _attention("plain", _IN, _W, _B),
    _attention("no-bias", _IN, _W),
    _attention("scale", _IN, _W, _B, scale=0.3),
    _attention("sizes", _IN, 0.4 * _x(8, 20, seed=6), _x(20, seed=7), qkv_hidden_sizes=[8, 8, 4]),
    _attention("causal", _IN, _W, _B, unidirectional=1),
    _attention("mask", _IN, _W, _B, _ints([1, 1, 0], [0, 1, 1])),
    _attention("mask-of-each-query", _IN, _W, _B, _ints(*[[[1, 1, 0], [0, 1, 1], [1, 0, 1]]] * 2)),
    _attention("ends", _IN, _W, _B, _ints(3, 2)),
    _attention("ends-and-starts", _IN, _W, _B, _ints(3, 2, 1, 0)),
    _attention("soft-mask", _IN, _W, _B, _ints([1, 1, 0], [0, 1, 1]), mask_filter_value=-1.5),
    _attention("past", _IN, _W, _B, None, _PAST, outputs=2),
    _attention("past-causal", _IN, _W, _B, None, _PAST, outputs=2, unidirectional=1),
    _attention("bias", _IN, _W, _B, None, None, _x(1, 2, 3, 3, seed=9)),
]  # fmt: skip

_Q, _K, _V = _x(2, 3, 8), _x(2, 4, 8, seed=6), _x(2, 4, 8, seed=7)


def _multi(id: str, *operands: np.ndarray | None, **more: Any) -> Row:
    return _row("MultiHeadAttention", id, *operands, num_heads=2, **more)


MULTI = [
    _multi("plain", _Q, _K, _V),
    _multi("bias", _Q, _K, _V, _x(24, seed=8)),
    _multi("other-size", _Q, _K, _x(2, 4, 4, seed=7), _x(20, seed=8), scale=0.4),
    _multi("crossed", _Q, _x(2, 2, 4, 4, seed=6), _x(2, 2, 4, 4, seed=7)),
    _multi("mask", _Q, _K, _V, None, _ints([1, 1, 1, 0], [0, 1, 1, 1])),
    _multi("mask-of-each-query", _Q, _K, _V, None,
           _ints(*[[[1, 1, 0, 1], [0, 1, 1, 1], [1] * 4]] * 2)),
    _multi("attention-bias", _Q, _K, _V, None, None, _x(1, 2, 3, 4, seed=8)),
    _multi("causal", _Q, _x(2, 3, 8, seed=6), _x(2, 3, 8, seed=7), unidirectional=1),
    _multi("past", _Q, _x(2, 3, 8, seed=6), _x(2, 3, 8, seed=7), None, None, None,
           _x(2, 2, 2, 4, seed=8), _x(2, 2, 2, 4, seed=9), outputs=3),
]  # fmt: skip

# 2 query heads share a key head of size 16.
_GQ, _GK, _GV = _x(2, 3, 32), _x(2, 3, 16, seed=6), _x(2, 3, 16, seed=7)
_ALL_NEW = _ints(2, 2), np.array(3, np.int32)
_COS, _SIN = np.cos(_x(8, 8, seed=8)), np.sin(_x(8, 8, seed=8))


def _group(id: str, *operands: np.ndarray | None, **more: Any) -> Row:
    more = {"num_heads": 2, "kv_num_heads": 1, "outputs": 3, **more}
    return _row("GroupQueryAttention", id, *operands, **more)


_ONE = _x(2, 1, 32), _x(2, 1, 16, seed=6), _x(2, 1, 16, seed=7)
_CACHE = _x(2, 1, 4, 16, seed=9), _x(2, 1, 4, 16, seed=10)
GROUPS = [
    _group("prompt", _GQ, _GK, _GV, None, None, *_ALL_NEW),
    _group("scale", _GQ, _GK, _GV, None, None, *_ALL_NEW, scale=0.2),
    _group("packed", _x(2, 3, 64), None, None, None, None, *_ALL_NEW),
    _group("rotary", _GQ, _GK, _GV, None, None, *_ALL_NEW, _COS, _SIN, do_rotary=1),
    _group("interleaved", _GQ, _GK, _GV, None, None, *_ALL_NEW, _COS, _SIN, do_rotary=1,
           rotary_interleaved=1),
    _group("softcap", _GQ, _GK, _GV, None, None, *_ALL_NEW, softcap=1.5),
    _group("window", _GQ, _GK, _GV, None, None, *_ALL_NEW, local_window_size=2),
    _group("smooth", _GQ, _GK, _GV, None, None, *_ALL_NEW, smooth_softmax=1),
    _group("sink", _GQ, _GK, _GV, None, None, *_ALL_NEW, None, None, None, None, _x(2, seed=3)),
    _group("bias", _GQ, _GK, _GV, None, None, *_ALL_NEW, None, None, None, _x(1, 2, 3, 3, seed=4)),
    _group("heads", _x(1, 2, 32), _x(1, 2, 16, seed=6), _x(1, 2, 16, seed=7), None, None,
           _ints(1), np.array(2, np.int32), num_heads=4, kv_num_heads=2),
    _group("padded", _GQ, _GK, _GV, None, None, _ints(1, 2), np.array(3, np.int32)),
    _group("places", _GQ, _GK, _GV, None, None, *_ALL_NEW, _COS, _SIN, np.array([[4, 2, 1]] * 2),
           do_rotary=1),
    _group("bidirectional", _GQ, _GK, _GV, None, None, *_ALL_NEW, causal=0),
    _group("next", *_ONE, *_CACHE, _ints(4, 4), np.array(5, np.int32)),
    _group("next-ragged", *_ONE, *_CACHE, _ints(2, 4), np.array(5, np.int32), _COS, _SIN,
           do_rotary=1),
    _group("next-places", *_ONE, *_CACHE, _ints(2, 4), np.array(5, np.int32), _COS, _SIN,
           np.array([[7], [1]]), do_rotary=1),
    _group("next-window", *_ONE, *_CACHE, _ints(4, 3), np.array(5, np.int32), local_window_size=3),
]  # fmt: skip


def _rotary(op: str, id: str, x: np.ndarray, places: Any, width: int, **more: Any) -> Row:
    cache = _x(6, width, seed=6), _x(6, width, seed=7)
    return _row(op, f"ms-{id}", x, np.array(places), *cache, **more)


_PLACES = [[0, 5, 2], [3, 3, 1]]
_THREE = [[[0, 5, 2], [3, 3, 1]], [[1, 1, 2], [0, 2, 4]], [[5, 4, 3], [2, 1, 0]]]
ROTARIES = [
    _rotary("RotaryEmbedding", "flat", _x(2, 3, 8), _PLACES, 2, fixed=(0, 2, 3)),
    _rotary("RotaryEmbedding", "offset", _x(2, 2, 3, 4), [2], 2),
    _rotary("RotaryEmbedding", "interleaved", _x(2, 2, 3, 4), _PLACES, 2, interleaved=1),
    _rotary("RotaryEmbedding", "partial", _x(2, 3, 16), _PLACES, 2, num_heads=2,
            rotary_embedding_dim=4),
    _rotary("MRotaryEmbedding", "chunks", _x(2, 2, 3, 8), _THREE, 4, mrope_section=[1, 2, 1]),
    _rotary("MRotaryEmbedding", "woven", _x(2, 2, 3, 12), _THREE, 6, mrope_section=[2, 2, 2],
            mrope_layout=1, interleaved=1),
]  # fmt: skip

ROWS = [*ATTENTIONS, *MULTI, *GROUPS, *ROTARIES]
