"""com.microsoft: GatedDeltaNet, the recurrence of `linear_attention` on packed tokens."""

from __future__ import annotations

from collections.abc import Sequence

from portgrad.autodiff.registry import body
from portgrad.autodiff.rules.contrib.linear_attention import (
    COST,
    Heads,
    no_state,
    recurrence,
    repeated,
    scaled,
)
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.shapes import Size
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

_NORM_EPSILON = 1e-12  # what the kernel adds to a sum of squares


@body("GatedDeltaNet", domain=DOMAIN, cost=COST)
def gated_delta_net(
    op: Op,
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    cu_seqlens: Tensor | None,
    decay: Tensor | None,
    beta: Tensor | None,
    initial_state: Tensor | None,
    a_log: Tensor | None,
    dt_bias: Tensor | None,
    capture_count: Tensor | None,
    state_update_active: Tensor | None,
    *,
    beta_activation: str,
    gate_activation: str,
    gate_lower_bound: float,
    qk_l2_norm: int,
    scale: float,
    update_rule: str,
) -> tuple[Tensor | Unsupported, ...]:
    if cu_seqlens is not None:
        raise Unsupported(
            "packed sequences of different lengths are not built",
            remedy="Export it for sequences of one length, without cu_seqlens.",
        )
    tokens = op.dims(query)[:-1] if key is None else op.dims(query)[:-2]
    layout = _Layout(op, tokens, initial_state)
    q, k, v = _heads(op, layout, query, key, value, initial_state)
    if qk_l2_norm:
        q, k = (_normal(op, x) for x in (q, k))
    heads = op.dims(v)[2]
    q = scaled(op, repeated(op, q, heads), scale, op.dims(q)[4])
    gated, retrieving = update_rule in ("gated", "gated_delta"), "delta" in update_rule
    g = b = None
    if decay is not None and gated:
        g = layout.apart(_wide_decay(op, decay, len(tokens)), 2)
        g = _activated(op, g, gate_activation, a_log, dt_bias, gate_lower_bound)
    if beta is not None and retrieving:
        b = op.unsqueeze(layout.apart(op.widen(beta)[0], 1), 3, 4)
        b = op.Sigmoid(b) if beta_activation == "sigmoid" else b
    state = (
        no_state(op, q, v)
        if initial_state is None
        else op.swap_last_two(op.widen(initial_state)[0])
    )
    last, out = recurrence(op, state, Heads(q, repeated(op, k, heads), v, g, b))
    y = op.reshape(op.Transpose(out, perm=[1, 0, 2, 3, 4]), [*tokens, heads, op.dims(v)[4]])
    captured = Unsupported("what it captures of each step has no gradient built")
    return op.cast_like(y, query), op.swap_last_two(last), captured


class _Layout:
    """Tokens (all) or (batch, length), in whose place come (length, batch)."""

    def __init__(self, op: Op, tokens: Sequence[Size], initial_state: Tensor | None) -> None:
        self._op, self._axes = op, len(tokens)
        if len(tokens) == 2:
            self._sizes = list(tokens)
        elif initial_state is None:
            raise Unsupported("the number of its sequences is not known")
        else:
            batch = op.dims(initial_state)[0]
            self._sizes = [batch, op.quotient(tokens[0], batch)]

    def apart(self, x: Tensor, rest: int) -> Tensor:
        """X with tokens before `rest` other axes, as (length, batch, …)."""
        inner = self._op.dims(x)[self._axes :]
        rows = self._op.reshape(x, [*self._sizes, *inner])
        return self._op.Transpose(rows, perm=[1, 0, *range(2, 2 + rest)])


def _heads(
    op: Op,
    layout: _Layout,
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    state: Tensor | None,
) -> list[Tensor]:
    """Queries, keys and values (length, batch, heads, 1, size)."""
    if key is not None and value is not None:
        given = op.widen(query, key, value)
    elif state is not None:
        _, value_heads, width, size = op.dims(state)
        *tokens, whole = op.dims(query)
        values = op.product(value_heads, width)
        keys = op.quotient(op.vector([whole]) - op.vector([values]), 2)
        parts = op.split(op.widen(query)[0], op.vector([keys, keys, values]), len(tokens), 3)
        count = op.quotient(keys, size)
        sizes = [[count, size], [count, size], [value_heads, width]]
        given = [op.reshape(x, [*tokens, *s]) for x, s in zip(parts, sizes, strict=True)]
    else:
        raise Unsupported("packed queries, keys and values need initial_state beside them")
    return [op.unsqueeze(layout.apart(x, 2), 3) for x in given]


def _normal(op: Op, x: Tensor) -> Tensor:
    return x / op.Sqrt(op.reduce_sum(x * x, [-1]) + _NORM_EPSILON)


def _wide_decay(op: Op, decay: Tensor, axes: int) -> Tensor:
    """A decay (…, heads) or (…, heads, size) with the last axis there."""
    [wide] = op.widen(decay)
    return wide if op.rank(decay) == axes + 2 else op.unsqueeze(wide, -1)


def _activated(
    op: Op, g: Tensor, name: str, a_log: Tensor | None, dt_bias: Tensor | None, bound: float
) -> Tensor:
    """The decay (length, batch, heads, size or 1, 1) behind its projection."""
    heads = op.dims(g)[2]
    if name == "none":
        return op.unsqueeze(g, 4)
    if a_log is None or dt_bias is None:
        raise Unsupported(f"gate_activation {name!r} needs a_log and dt_bias")
    log, bias = op.widen(a_log, dt_bias)
    rows = op.product(*op.dims(bias))
    shifted = g + op.reshape(bias, [heads, op.quotient(rows, heads)])
    rate = op.unsqueeze(op.Exp(log), 1)
    if name in ("softplus", "qwen"):
        return op.unsqueeze(-rate * op.Softplus(shifted), 4)
    return op.unsqueeze(op.Sigmoid(rate * shifted) * bound, 4)
