"""com.microsoft: GroupQueryAttention, attention over a cache that each example fills on its own."""

from __future__ import annotations

import math

from portgrad.autodiff.registry import body
from portgrad.autodiff.rules.contrib.rotary import at_places
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN


@body("GroupQueryAttention", domain=DOMAIN)
def group_query_attention(
    op: Op,
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    past_key: Tensor | None,
    past_value: Tensor | None,
    seqlens_k: Tensor,
    total_sequence_length: Tensor,
    cos_cache: Tensor | None,
    sin_cache: Tensor | None,
    position_ids: Tensor | None,
    attention_bias: Tensor | None,
    head_sink: Tensor | None,
    k_scale: Tensor | None,
    v_scale: Tensor | None,
    q_norm_weight: Tensor | None,
    k_norm_weight: Tensor | None,
    query_seqlens: Tensor | None,
    *,
    num_heads: int,
    kv_num_heads: int,
    scale: float | None,
    softcap: float | None,
    do_rotary: int | None,
    rotary_interleaved: int | None,
    local_window_size: int,
    smooth_softmax: int | None,
    sliding_window_cache: int | None,
    causal: int,
    qk_output: int | None,
) -> tuple[Tensor | None, ...]:
    built = (k_scale, v_scale, q_norm_weight, k_norm_weight, query_seqlens)
    if sliding_window_cache or any(x is not None for x in built):
        raise Unsupported("a windowed or quantised cache, norms and padded chunks are not built")
    q, k, v = _heads(op, query, key, value, num_heads, kv_num_heads)
    first, begins, ends, total = _extent(op, q, seqlens_k, total_sequence_length)
    places = begins + op.unsqueeze(op.iota(op.size(q, 2)), 0)
    if do_rotary and cos_cache is not None and sin_cache is not None:
        turns = places if position_ids is None else _given(op, position_ids, first, q)
        cos, sin = at_places(op, cos_cache, turns), at_places(op, sin_cache, turns)
        q, k = (op.rotated(x, cos, sin, interleaved=bool(rotary_interleaved)) for x in (q, k))
    if past_key is not None and past_value is not None:
        pairs = ((past_key, k), (past_value, v))
        k, v = (_placed(op, past, new, begins, total) for past, new in pairs)
    allowed = _allowed(op, places, ends, op.size(k, 2), causal, local_window_size)
    terms = [
        None if attention_bias is None else _padded(op, attention_bias, op.size(k, 2)),
        op.Where(op.unsqueeze(allowed, 1), op.scalar(0.0, q), op.scalar(-math.inf, q)),
    ]
    keys, values = (_repeated(op, x, num_heads // kv_num_heads) for x in (k, v))
    sink = head_sink
    if sink is None and smooth_softmax == 1:
        sink = op.Expand(op.scalar(0.0, q), op.ints(num_heads))
    out, scores, weights = op.attend(
        q, keys, values, terms, scale, softcap=softcap or 0.0, sink=sink
    )
    return op.joined_heads(out), k, v, {1: scores, 2: weights}.get(qk_output or 0)


def _heads(
    op: Op, query: Tensor, key: Tensor | None, value: Tensor | None, count: int, kv_count: int
) -> tuple[Tensor, Tensor, Tensor]:
    if key is None or value is None:
        size = op.size(query, 2) / op.ints(count + 2 * kv_count)
        sizes = op.Mul(size, op.ints(count, kv_count, kv_count))
        query, key, value = op.split(query, sizes, 2, 3)
    return op.heads(query, count), op.heads(key, kv_count), op.heads(value, kv_count)


def _extent(op: Op, q: Tensor, seqlens_k: Tensor, total: Tensor) -> list[Tensor]:
    """Whether this is a first prompt; where the new keys of each example begin, where its keys end,
    and the longest such end. All keys of a first prompt, which is as long as that end, are new.
    """
    ends = op.as_int64(op.Reshape(seqlens_k, [-1, 1])) + 1
    length, longest = op.size(q, 2), op.as_int64(op.Reshape(total, [1]))
    first = op.Equal(length, longest)
    return [first, op.Where(first, op.ints(0), ends - length), ends, longest]


def _given(op: Op, position_ids: Tensor, first: Tensor, q: Tensor) -> Tensor:
    """The runtime counts up from the first of all positions in a first prompt."""
    start = op.Slice(op.Slice(position_ids, [0], [1], [0]), [0], [1], [1])
    return op.Where(first, start + op.unsqueeze(op.iota(op.size(q, 2)), 0), position_ids)


def _placed(op: Op, past: Tensor, new: Tensor, begins: Tensor, total: Tensor) -> Tensor:
    """New rows behind the begin of each example, in a buffer of the cache's length or more.

    What lies beyond them is zero.
    """
    held, fresh = op.size(past, 2), op.size(new, 2)
    places = op.unsqueeze(op.iota(op.Max(held, total)), 0)
    since = places - begins
    at = op.Min(op.Max(since, op.index(0)), fresh - 1) + held
    rows = op.Where(op.Less(since, op.index(0)), op.Min(places, held - 1), at)
    both = op.Transpose(op.Concat(past, new, axis=2), perm=[0, 2, 1, 3])
    taken = op.ranked(op.GatherND(both, op.unsqueeze(rows, 2), batch_dims=1), both)
    filled = op.unsqueeze(op.Less(since, fresh), 2, 3)
    return op.Transpose(op.Where(filled, taken, op.scalar(0.0, new)), perm=[0, 2, 1, 3])


def _allowed(
    op: Op, places: Tensor, ends: Tensor, length: Tensor, causal: int, window: int
) -> Tensor:
    """Which keys each query sees: (batch, S, T)."""
    keys = op.unsqueeze(op.iota(length), 0, 1)
    mine = op.unsqueeze(places, 2)
    allowed = op.Less(keys, op.unsqueeze(ends, 2))
    if causal:
        allowed = op.And(allowed, op.LessOrEqual(keys, mine))
    if window > 0:
        allowed = op.And(allowed, op.Greater(keys, mine - window))
    return allowed


def _padded(op: Op, bias: Tensor, length: Tensor) -> Tensor:
    """A bias with zeros for the keys of a longer buffer."""
    missing = op.Max(length - op.size(bias, 3), op.ints(0))
    return op.Pad(bias, op.Concat(op.ints(0, 0, 0, 0, 0, 0, 0), missing, axis=0))


def _repeated(op: Op, x: Tensor, times: int) -> Tensor:
    """Each head as often as query heads share it."""
    if times == 1:
        return x
    wide = op.Expand(op.unsqueeze(x, 2), op.ints(1, 1, times, 1, 1))
    batch, count, length, size = op.dims(x)
    heads = count * times if isinstance(count, int) else count * op.index(times)
    return op.reshape(wide, [batch, heads, length, size])
