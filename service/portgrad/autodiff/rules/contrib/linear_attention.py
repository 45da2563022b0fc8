"""com.microsoft: linear attention, a recurrence over a state S of keys by values for each head.

    S := exp(g) S          where the rule is gated
    u  = v - k S           where it has a delta, times beta; else v
    S := S + k' u
    o  = scale q S

One scan goes over the tokens, whatever chunks the kernels work in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.shapes import Size
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

COST = "one step of a scan for each token"


@dataclass(frozen=True)
class Heads:
    """The operands of the recurrence, all (tokens, batch, heads, …, size).

    Attributes:
        query: (tokens, batch, heads, group, key size): the queries that share a state.
        key: (tokens, batch, heads, 1, key size).
        value: (tokens, batch, heads, 1, value size).
        decay: (tokens, batch, heads, key size or 1, 1), in logarithms; None without decay.
        beta: (tokens, batch, heads, 1, 1); None without retrieval.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    decay: Tensor | None
    beta: Tensor | None


def recurrence(op: Op, state: Tensor, heads: Heads) -> tuple[Tensor, Tensor]:
    """The last state, and the outputs (tokens, batch, heads, group, value size)."""
    gates = [x for x in (heads.decay, heads.beta) if x is not None]
    columns = op.Transpose(heads.key, perm=[0, 1, 2, 4, 3])

    def step(op: Any, states: Sequence[Tensor], read: Sequence[Tensor]) -> Any:
        [s] = states
        q, k, column, u, *gates = read
        if heads.decay is not None:
            s = s * op.Exp(gates[0])
        if heads.beta is not None:
            u = (u - k @ s) * gates[-1]
        s = s + column @ u
        return [s], [q @ s]

    read = [heads.query, heads.key, columns, heads.value, *gates]
    [last], [out] = op.scan(step, [state], read)
    return last, out


def scaled(op: Op, query: Tensor, scale: float, size: Size) -> Tensor:
    """Queries times a scale; one over the root of their size where it is 0."""
    if scale:
        return query * scale
    if isinstance(size, int):
        return query * (1.0 / math.sqrt(size))
    return query / op.Sqrt(op.cast_like(size, query))


def repeated(op: Op, x: Tensor, heads: Size) -> Tensor:
    """(tokens, batch, fewer heads, 1, size) with each head several times in a row."""
    tokens, batch, fewer, _, size = op.dims(x)
    if fewer == heads:
        return x
    times = op.quotient(heads, fewer)
    wide = op.Expand(op.unsqueeze(x, 3), op.vector([tokens, batch, fewer, times, 1, size]))
    return op.reshape(wide, [tokens, batch, heads, 1, size])


def no_state(op: Op, query: Tensor, value: Tensor) -> Tensor:
    """Zeros (batch, heads, key size, value size)."""
    _, batch, heads, _, size = op.dims(query)
    shape = op.vector([batch, heads, size, op.dims(value)[4]])
    zeros = op.ConstantOfShape(shape, value=np.zeros(1, query.dtype.numpy()))
    return op.reshape(zeros, [batch, heads, size, op.dims(value)[4]])


@body("LinearAttention", domain=DOMAIN, cost=COST)
def linear_attention(
    op: Op,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    past_state: Tensor | None,
    decay: Tensor | None,
    beta: Tensor | None,
    *,
    kv_num_heads: int,
    q_num_heads: int,
    scale: float,
    state_window: int,
    update_rule: str,
) -> tuple[Tensor, Tensor]:
    if state_window:
        raise Unsupported("onnxruntime has no CPU kernel of it with a window of states")
    size = op.quotient(op.dims(query)[2], q_num_heads)
    q = scaled(op, op.widen(query)[0], scale, size)
    if q_num_heads > kv_num_heads:  # several queries read one state
        q = _apart(op, q, [kv_num_heads, q_num_heads // kv_num_heads, size])
    else:
        q = repeated(op, _apart(op, q, [q_num_heads, 1, size]), kv_num_heads)
    key_heads = op.quotient(op.dims(key)[2], size)
    k = repeated(op, _apart(op, op.widen(key)[0], [key_heads, 1, size]), kv_num_heads)
    width = op.quotient(op.dims(value)[2], kv_num_heads)
    v = _apart(op, op.widen(value)[0], [kv_num_heads, 1, width])
    g, b = _gates(op, decay, beta, kv_num_heads, update_rule)
    state = no_state(op, q, v) if past_state is None else op.widen(past_state)[0]
    last, out = recurrence(op, state, Heads(q, k, v, g, b))
    batch, tokens, _ = op.dims(query)
    heads = max(q_num_heads, kv_num_heads)
    rows = op.Transpose(out, perm=[1, 0, 2, 3, 4])
    flat = op.reshape(rows, [batch, tokens, op.product(heads, width)])
    return op.cast_like(flat, query), last if past_state is None else op.cast_like(last, past_state)


def _apart(op: Op, x: Tensor, sizes: Sequence[Size]) -> Tensor:
    """(batch, tokens, all) as (tokens, batch, …)."""
    batch, tokens, _ = op.dims(x)
    return op.reshape(op.Transpose(x, perm=[1, 0, 2]), [tokens, batch, *sizes])


def _gates(
    op: Op, decay: Tensor | None, beta: Tensor | None, heads: int, rule: str
) -> tuple[Tensor | None, Tensor | None]:
    """What the rule has of a decay (batch, tokens, heads or heads · size) and an update rate."""
    g = b = None
    if decay is not None and rule in ("gated", "gated_delta"):
        width = op.quotient(op.dims(decay)[2], heads)
        g = _apart(op, op.widen(decay)[0], [heads, width, 1])
    if beta is not None and rule in ("delta", "gated_delta"):
        b = _apart(op, op.widen(beta)[0], [op.dims(beta)[2], 1, 1])
    return g, b
