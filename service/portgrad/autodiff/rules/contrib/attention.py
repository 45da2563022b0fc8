"""com.microsoft: the attentions of transformers, as scores, softmax and products."""

from __future__ import annotations

from portgrad.autodiff.registry import body, refuse
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

SHARED = "past and present lie in one buffer, which a gradient cannot follow"

refuse(
    "DecoderMaskedMultiHeadAttention",
    "SparseAttention",
    domain=DOMAIN,
    because=f"{SHARED}: export the net without a cache, or with MultiHeadAttention",
)


@body("Attention", domain=DOMAIN)
def attention(
    op: Op,
    input: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    mask_index: Tensor | None,
    past: Tensor | None,
    attention_bias: Tensor | None,
    past_sequence_length: Tensor | None,
    *,
    num_heads: int,
    unidirectional: int,
    qkv_hidden_sizes: list[int] | None,
    scale: float | None,
    mask_filter_value: float | None,
    do_rotary: int | None,
    rotary_embedding_dim: int | None,
    past_present_share_buffer: int | None,
) -> tuple[Tensor, Tensor | Unsupported]:
    if do_rotary or rotary_embedding_dim:
        raise Unsupported("the runtime's CPU leaves out its rotary positions")
    if past_present_share_buffer or past_sequence_length is not None:
        raise Unsupported(SHARED)
    projected = op.MatMul(input, weights)
    projected = projected if bias is None else projected + bias
    q, k, v = (op.heads(x, num_heads) for x in _thirds(op, projected, qkv_hidden_sizes))
    if past is not None:
        k, v = (op.Concat(op.Gather(past, i, axis=0), x, axis=2) for i, x in ((0, k), (1, v)))
    terms = [
        attention_bias,
        _mask(op, mask_index, k, mask_filter_value),
        _causal(op, q, k, mask_filter_value) if unidirectional else None,
    ]
    out, _, _ = op.attend(q, k, v, terms, scale)
    if qkv_hidden_sizes and qkv_hidden_sizes[0] != qkv_hidden_sizes[2]:
        return op.joined_heads(out), Unsupported("keys and values of different sizes have no stack")
    return op.joined_heads(out), op.Concat(op.unsqueeze(k, 0), op.unsqueeze(v, 0), axis=0)


@body("QAttention", domain=DOMAIN)
def q_attention(
    op: Op,
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    input_scale: Tensor,
    weight_scale: Tensor,
    mask_index: Tensor | None,
    input_zero_point: Tensor | None,
    weight_zero_point: Tensor | None,
    past: Tensor | None,
    *,
    num_heads: int,
    unidirectional: int,
    scale: float | None,
    mask_filter_value: float | None,
    do_rotary: int | None,
    past_present_share_buffer: int | None,
) -> tuple[Tensor, Tensor | Unsupported]:
    found: tuple[Tensor, Tensor | Unsupported] = attention(
        op,
        _dequantised(op, input, input_scale, input_zero_point),
        _dequantised(op, weight, weight_scale, weight_zero_point),
        bias,
        mask_index,
        past,
        None,
        None,
        num_heads=num_heads,
        unidirectional=unidirectional,
        qkv_hidden_sizes=None,
        scale=scale,
        mask_filter_value=mask_filter_value,
        do_rotary=do_rotary,
        rotary_embedding_dim=None,
        past_present_share_buffer=past_present_share_buffer,
    )
    return found


@body("MultiHeadAttention", domain=DOMAIN)
def multi_head_attention(
    op: Op,
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    bias: Tensor | None,
    key_padding_mask: Tensor | None,
    attention_bias: Tensor | None,
    past_key: Tensor | None,
    past_value: Tensor | None,
    past_sequence_length: Tensor | None,
    cache_indirection: Tensor | None,
    *,
    num_heads: int,
    unidirectional: int,
    scale: float | None,
    mask_filter_value: float | None,
) -> tuple[Tensor, ...]:
    if past_sequence_length is not None or cache_indirection is not None:
        raise Unsupported(SHARED)
    q, k, v = _three(op, query, key, value, bias, num_heads)
    if past_key is not None and past_value is not None:
        k, v = op.Concat(past_key, k, axis=2), op.Concat(past_value, v, axis=2)
    terms = [
        attention_bias,
        _mask(op, key_padding_mask, k, mask_filter_value),
        _causal(op, q, k, mask_filter_value) if unidirectional else None,
    ]
    out, _, weights = op.attend(q, k, v, terms, scale)
    return op.joined_heads(out), k, v, weights


def _thirds(op: Op, x: Tensor, sizes: list[int] | None) -> list[Tensor]:
    """Queries, keys and values that lie side by side on an axis."""
    if sizes:
        return op.split(x, op.ints(*sizes), 2, 3)
    third = op.size(x, 2) / op.ints(3)
    return op.split(x, op.Concat(third, third, third, axis=0), 2, 3)


def _three(
    op: Op,
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    bias: Tensor | None,
    count: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values in heads, with their bias; crossed ones are in heads already."""
    if key is None or value is None:
        raise Unsupported("the runtime's CPU takes no packed queries, keys and values")
    biases: list[Tensor | None] = [None, None, None] if bias is None else _bias(op, bias, query)
    if op.rank(key) == 4:
        biases[1:] = [None, None]
    rows = (x if b is None else x + b for x, b in zip((query, key, value), biases, strict=True))
    q, k, v = (x if op.rank(x) == 4 else op.heads(x, count) for x in rows)
    return q, k, v


def _bias(op: Op, bias: Tensor, query: Tensor) -> list[Tensor | None]:
    size = op.size(query, 2)
    rest = op.size(bias, 0) - size - size
    return [*op.split(bias, op.vector([size, size, rest]), 0, 3)]


def _dequantised(op: Op, x: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    real = op.cast_like(x, scale)
    return (real if zero_point is None else real - op.cast_like(zero_point, scale)) * scale


# -- masks, added to the scores ------------------------------------------------------------------


def _filter(op: Op, allowed: Tensor, like: Tensor, hidden: float | None) -> Tensor:
    value = -10000.0 if hidden is None else hidden
    return op.Where(allowed, op.scalar(0.0, like), op.scalar(value, like))


def _causal(op: Op, q: Tensor, k: Tensor, hidden: float | None) -> Tensor:
    """Each query sees the keys up to its own place, counted from the end of both."""
    keys, queries = op.iota(op.size(k, 2)), op.iota(op.size(q, 2))
    last = op.unsqueeze(queries + (op.size(k, 2) - op.size(q, 2)), 1)
    return _filter(op, op.LessOrEqual(op.unsqueeze(keys, 0), last), q, hidden)


def _mask(op: Op, mask: Tensor | None, k: Tensor, hidden: float | None) -> Tensor | None:
    """A mask (batch, T), (batch, S, T), or ends and perhaps starts of each example's keys."""
    if mask is None:
        return None
    if op.rank(mask) > 3:
        raise Unsupported("the runtime's CPU has no mask of four axes")
    if op.rank(mask) > 1:
        allowed = op.Greater(mask, op.Cast(op.index(0), to=mask.dtype))
        return _filter(op, op.unsqueeze(allowed, *range(1, 5 - op.rank(mask))), k, hidden)
    batch = op.size(k, 0)
    ends = op.as_int64(mask)
    # Without starts, the zeros that are appended are the starts.
    both = op.Concat(ends, op.Expand(op.index(0), batch), axis=0)
    places = op.unsqueeze(op.iota(op.size(k, 2)), 0)
    first = op.unsqueeze(op.Slice(both, batch, batch + batch), 1)
    after = op.unsqueeze(op.Slice(ends, [0], batch), 1)
    allowed = op.And(op.LessOrEqual(first, places), op.Less(places, after))
    return _filter(op, op.unsqueeze(allowed, 1, 2), k, hidden)
