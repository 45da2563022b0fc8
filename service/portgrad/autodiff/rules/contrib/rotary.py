"""com.microsoft: rotary positions. Pairs of elements are turned by angles that caches hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN


@body("RotaryEmbedding", domain=DOMAIN)
def rotary_embedding(
    op: Op,
    input: Tensor,
    position_ids: Tensor,
    cos_cache: Tensor,
    sin_cache: Tensor,
    *,
    num_heads: int | None,
    rotary_embedding_dim: int | None,
    interleaved: int | None,
    is_packed_batching: int | None,
    scale: float | None,
) -> Tensor:
    _refuse_ragged(is_packed_batching, scale)
    places = op.as_int64(position_ids)
    if op.rank(places) == 1:  # where the first element of each example is
        length = op.size(input, op.rank(input) - 2)
        places = op.Reshape(places, [-1, 1]) + op.unsqueeze(op.iota(length), 0)
    cos, sin = (at_places(op, cache, places) for cache in (cos_cache, sin_cache))
    return _by_heads(
        op,
        input,
        _count(op, input, cos_cache, num_heads, rotary_embedding_dim),
        lambda x: op.rotated(x, cos, sin, interleaved=bool(interleaved)),
    )


@body("MRotaryEmbedding", domain=DOMAIN)
def m_rotary_embedding(
    op: Op,
    input: Tensor,
    position_ids: Tensor,
    cos_cache: Tensor,
    sin_cache: Tensor,
    *,
    num_heads: int | None,
    rotary_embedding_dim: int | None,
    interleaved: int | None,
    mrope_section: list[int],
    mrope_layout: int | None,
    is_packed_batching: int | None,
    scale: float | None,
) -> Tensor:
    _refuse_ragged(is_packed_batching, scale)
    streams = [op.Gather(op.as_int64(position_ids), k, axis=0) for k in range(3)]
    stream_of = _columns(mrope_section, bool(mrope_layout))

    def mixed(cache: Tensor) -> Tensor:
        time, height, width = (at_places(op, cache, places) for places in streams)
        high = op.constant(stream_of == 1)
        return op.Where(high, height, op.Where(op.constant(stream_of == 2), width, time))

    cos, sin = mixed(cos_cache), mixed(sin_cache)
    return _by_heads(
        op,
        input,
        _count(op, input, cos_cache, num_heads, rotary_embedding_dim),
        lambda x: op.rotated(x, cos, sin, interleaved=bool(interleaved)),
    )


def at_places(op: Op, cache: Tensor, places: Tensor) -> Tensor:
    """Rows of a cache for places (batch or 1, length), as (batch or 1, 1, length, columns)."""
    return op.unsqueeze(op.Gather(cache, places, axis=0), 1)


def _refuse_ragged(is_packed_batching: int | None, scale: float | None) -> None:
    if is_packed_batching:
        raise Unsupported("batches of ragged length in one sequence are not built")
    if scale not in {None, 1.0}:
        raise Unsupported("the runtime's CPU leaves out a scale other than 1")


def _columns(sections: list[int], interleaved: bool) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Which of the three positions turns each pair: 0 time, 1 height, 2 width."""
    if not interleaved:
        return np.repeat(np.arange(3), sections)
    stream_of = np.zeros(sum(sections), np.int64)
    for stream in (1, 2):
        stream_of[stream : 3 * sections[stream] : 3] = stream
    return stream_of


def _count(
    op: Op, x: Tensor, cache: Tensor, num_heads: int | None, rotary_size: int | None
) -> int | None:
    """The number of heads of a flat input; None where its last axis is to be cut by its size."""
    if op.rank(x) == 4:
        return None
    if rotary_size and num_heads:
        return num_heads
    hidden, half = op.known_size(x, 2), op.known_size(cache, 1)
    if hidden is None or half is None:
        raise Unsupported(
            "the number of its heads is not known",
            remedy="Give its attributes num_heads and rotary_embedding_dim.",
        )
    return hidden // (2 * half)


def _by_heads(op: Op, x: Tensor, count: int | None, turn: Callable[[Tensor], Tensor]) -> Tensor:
    if count is None:
        return turn(x)
    return op.shaped_as(op.joined_heads(turn(op.heads(x, count))), x)
