"""com.microsoft: causal convolution of each channel, which carries the last elements as a state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.shapes import Size
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

_LAST = np.iinfo(np.int64).max


def _activated(op: Op, x: Tensor, name: str) -> Tensor:
    return x if name == "none" else x * op.Sigmoid(x)


@body("CausalConvWithState", domain=DOMAIN)
def causal_conv_with_state(
    op: Op,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    past_state: Tensor | None,
    *,
    activation: str,
    channels_last: int,
    dilation: int,
    input_channels: int,
    ndim: int,
    state_length: int,
    state_update_capacity: int,
    state_window: int,
) -> tuple[Tensor, ...]:
    channels = op.known_size(weight, 0)
    if ndim != 1 or state_window or state_length or state_update_capacity or input_channels:
        raise Unsupported("onnxruntime has no CPU kernel of it with more axes, or with a window")
    if channels is None:
        raise Unsupported("the number of channels is not known before the net runs")
    x = _channels_first(op, input, channels) if channels_last else input
    batch, _, length = op.dims(x)
    before = _reach(op, weight, dilation)
    if past_state is None:
        shape = op.vector([batch, channels, before])
        past = op.ConstantOfShape(shape, value=np.zeros(1, x.dtype.numpy()))
    else:
        past = _channels_first(op, past_state, channels) if channels_last else past_state
    whole = op.Concat(past, x, axis=2)
    y = op.Conv(whole, weight, bias, group=channels, dilations=[dilation])
    y = _activated(op, op.shaped_as(y, x), activation)
    present = op.shaped_as(op.Slice(whole, op.vector([length]), [_LAST], [2]), past)
    if not channels_last:
        return y, present
    inner = op.dims(input)[2:]
    return tuple(_channels_back(op, z, s, inner) for z, s in ((y, length), (present, before)))


def _reach(op: Op, weight: Tensor, dilation: int) -> Size:
    """How many elements before its own a tap can read."""
    return (op.dims(weight)[2] - 1) * dilation


def _channels_first(op: Op, x: Tensor, channels: int) -> Tensor:
    """(batch, length, …) as (batch, channels, length)."""
    batch, length, *_ = op.dims(x)
    return op.Transpose(op.reshape(x, [batch, length, channels]), perm=[0, 2, 1])


def _channels_back(op: Op, x: Tensor, length: Size, inner: Sequence[Size]) -> Tensor:
    batch = op.dims(x)[0]
    return op.reshape(op.Transpose(x, perm=[0, 2, 1]), [batch, length, *inner])


@body("VarlenCausalConvWithState", domain=DOMAIN)
def varlen_causal_conv_with_state(
    op: Op,
    input: Tensor,
    weight: Tensor,
    cumulative_sequence_length: Tensor,
    bias: Tensor | None,
    initial_state: Tensor,
    capture_count: Tensor | None,
    kernel_delta: Tensor | None,
    previous_mask: Tensor | None,
    *,
    activation: str,
    dilation: int,
) -> tuple[Tensor | Unsupported, ...]:
    if kernel_delta is not None or previous_mask is not None:
        raise Unsupported("onnxruntime has no CPU kernel of it with kernels that change")
    starts = op.as_int64(cumulative_sequence_length)
    tokens, channels = op.dims(input)
    before = op.vector([_reach(op, weight, dilation)])
    # All that can be read, as rows: the tokens, then the states of each sequence.
    batch, _, kept = op.dims(initial_state)
    states = op.Transpose(initial_state, perm=[0, 2, 1])
    states = op.reshape(states, [op.product(batch, kept), channels])
    rows = op.Concat(input, states, axis=0)
    place = op.unsqueeze(op.iota(op.vector([tokens])), 1)
    begins, ends = op.Slice(starts, [0], [-1]), op.Slice(starts, [1], [_LAST])
    sequence = op.reduce_sum(op.as_int64(op.mask(place >= ends, place)), [1])  # (tokens, 1)
    read = _Rows(op, op.size(input, 0), before, begins)
    taps = op.unsqueeze(op.iota(op.size(weight, 2)) * dilation, 0)
    seen = op.Gather(rows, read.at(sequence, place - before + taps))  # (tokens, taps, channels)
    kernel = op.Transpose(op.squeeze(weight, 1), perm=[1, 0])
    y = op.reduce_sum(seen * kernel, [1], keepdims=False)
    y = _activated(op, y if bias is None else y + bias, activation)
    every = op.unsqueeze(op.iota(op.size(initial_state, 0)), 1)
    last = op.unsqueeze(ends, 1) - before + op.unsqueeze(op.iota(before), 0)
    final = op.Transpose(op.Gather(rows, read.at(every, last)), perm=[0, 2, 1])
    return y, op.shaped_as(final, initial_state), Unsupported("what it captures is not built")


class _Rows:
    """Where a sequence's elements lie among the rows: tokens first, then `before` of each state."""

    def __init__(self, op: Op, tokens: Tensor, before: Tensor, begins: Tensor) -> None:
        self._op, self._tokens, self._before, self._begins = op, tokens, before, begins

    def at(self, sequence: Tensor, place: Tensor) -> Tensor:
        """The rows of places of the packed tokens; those before a sequence are in its state."""
        op = self._op
        begin = op.Gather(self._begins, sequence)
        in_state = self._tokens + (sequence + 1) * self._before + (place - begin)
        return op.Where(place >= begin, place, in_state)
