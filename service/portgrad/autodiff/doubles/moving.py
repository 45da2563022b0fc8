"""Operators that move numbers, choose among them or count them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.emitter import schema_of
from portgrad.autodiff.registry import double_body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas import classical, contrib


@double_body("NonZero")
def non_zero(op: Op, x: Tensor) -> Tensor:
    return op.NonZero(op.Cast(x, to=ir.DataType.BOOL))


@double_body("NGramRepeatBlock", domain=contrib.DOMAIN)
def n_gram_repeat_block(op: Op, input_ids: Tensor, scores: Tensor, *, ngram_size: int) -> Tensor:
    """Which scores become minus infinity is seen by zeros in their place."""
    schema = schema_of("NGramRepeatBlock", 1, contrib.DOMAIN)
    zeros = op.Cast(op.zeros_like(scores), to=ir.DataType.FLOAT)
    [seen] = op.emit(schema, (input_ids, zeros), {"ngram_size": ngram_size}, 1)
    return op.Where(op.IsInf(seen, detect_positive=0), op.scalar(-np.inf, scores), scores)


@double_body("OneHot")
def one_hot(op: Op, indices: Tensor, depth: Tensor, values: Tensor, *, axis: int) -> Tensor:
    chosen = op.OneHot(op.as_int64(indices), op.as_int64(depth), op.ints(0, 1), axis=axis)
    off, on = (op.Gather(values, op.index(place), axis=0) for place in (0, 1))
    return op.Where(op.Equal(chosen, 1), on, off)


@double_body("Binarizer", domain=classical.DOMAIN)
def binarizer(op: Op, x: Tensor, *, threshold: float) -> Tensor:
    return op.mask(x > threshold, x)


@double_body("Hardmax")
def hardmax(op: Op, input: Tensor, *, axis: int) -> Tensor:
    rank = op.rank(input)
    places = op.iota(op.size(input, axis % rank))
    row = op.unsqueeze(places, *range(1, rank - axis % rank))
    return op.mask(op.Equal(op.ArgMax(input, axis=axis), row), input)


@double_body("Mean")
def mean(op: Op, data_0: list[Tensor]) -> Tensor:
    return op.Sum(*data_0) / float(len(data_0))


@double_body("Multinomial")  # probabilities of draws, of which float32 is enough
def multinomial(op: Op, input: Tensor, **rest: Any) -> Tensor:
    return op.Multinomial(op.Cast(input, to=ir.DataType.FLOAT), **rest)


@double_body("MaxUnpool")
def max_unpool(
    op: Op,
    x: Tensor,
    i: Tensor,
    output_shape: Tensor | None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> Tensor:
    if output_shape is None:
        rank = len(kernel_shape)
        steps, around = list(strides or [1] * rank), list(pads or [0] * 2 * rank)
        beyond = [
            k - step - around[axis] - around[axis + rank]
            for axis, (k, step) in enumerate(zip(kernel_shape, steps, strict=True))
        ]
        rows = op.Add(op.sizes(x, range(2, 2 + rank)) * op.ints(*steps), op.ints(*beyond))
        output_shape = op.Concat(op.sizes(x, range(2)), rows, axis=0)
    count = op.ReduceProd(output_shape, [0], keepdims=1)
    zeros = op.ConstantOfShape(count, value=np.zeros(1, x.dtype.numpy()))
    flat_x, flat_i = (op.Reshape(part, [-1]) for part in (x, i))
    placed = op.ScatterElements(zeros, flat_i, flat_x, axis=0)
    return op.ranked(op.Reshape(placed, output_shape, allowzero=1), x)


@double_body("Col2Im")
def col2im(
    op: Op,
    input: Tensor,
    image_shape: Tensor,
    block_shape: Tensor,
    *,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> Tensor:
    count = op.known_size(block_shape, 0) or op.known_size(image_shape, 0) or 2
    ones, around = (1,) * count, tuple(pads or (0,) * (2 * count))
    # Where each tap of each window lies in the padded image, as one number.
    place: Tensor | None = None
    framed: list[Tensor] = []
    for axis in range(count):
        stride, dilation = (strides or ones)[axis], (dilations or ones)[axis]
        block, rows = op.Gather(block_shape, [axis]), op.Gather(image_shape, [axis])
        whole = op.Add(rows, around[axis] + around[count + axis])
        room = op.Sub(whole - 1, (block - 1) * dilation)
        steps = op.iota(room / stride + 1) * stride
        here = op.unsqueeze(op.iota(block) * dilation, *range(1, 2 * count - axis))
        here = here + op.unsqueeze(steps, *range(1, count - axis))
        place = here if place is None else place * whole + here
        framed.append(whole)
    assert place is not None, "an image has an axis"
    batch, blocks = op.dims(input)[0], op.ReduceProd(block_shape, [0], keepdims=1)
    channels = op.quotient(op.size(input, 1), blocks)
    planes = op.product(batch, channels)
    updates = op.Reshape(input, op.vector([planes, -1]))
    spots = op.Expand(op.Reshape(place, [1, -1]), op.Shape(updates))
    shape = op.Concat(op.vector([batch, channels]), *framed, axis=0)
    flat = op.vector([planes, op.ReduceProd(op.Concat(*framed, axis=0), [0], keepdims=1)])
    zeros = op.ConstantOfShape(flat, value=np.zeros(1, input.dtype.numpy()))
    image = op.Reshape(op.scatter(zeros, spots, updates, 1, "add"), shape, allowzero=1)
    if not any(around):
        return image
    return op.Pad(image, [-size for size in around], None, list(range(2, 2 + count)))


@double_body("Det")
def det(op: Op, x: Tensor) -> Tensor:
    """By Gaussian elimination with the largest pivot of each column."""
    rank, size = op.rank(x), op.size(x, -1)
    places = op.iota(size)
    column, row = op.unsqueeze(places, 1), op.unsqueeze(places, 0)
    shape = op.vector([*op.dims(x)[:-2], 1, 1])
    one = op.Expand(op.constant(np.ones((1, 1), x.dtype.numpy())), shape)

    def step(op: Any, at: Tensor, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        rows, total = states
        here = op.reduce_sum(op.Where(op.Equal(row, at), rows, 0.0), [rank - 1])
        left = op.Where(op.Less(column, at), op.scalar(-1.0, here), op.Abs(here))
        best = op.ArgMax(left, axis=rank - 2)
        mine, theirs = op.Equal(column, at), op.Equal(column, best)
        own, other = (op.reduce_sum(op.Where(m, rows, 0.0), [rank - 2]) for m in (mine, theirs))
        rows = op.Where(mine, other, op.Where(theirs, own, rows))
        pivot = op.reduce_sum(op.Where(op.Equal(row, at), other, 0.0), [rank - 1])
        sign = op.Where(op.Equal(best, at), op.scalar(1.0, x), op.scalar(-1.0, x))
        here = op.reduce_sum(op.Where(op.Equal(row, at), rows, 0.0), [rank - 1])
        factor = here / op.Where(op.Equal(pivot, 0.0), 1.0, pivot)
        below = rows - op.Where(op.Greater(column, at), factor, 0.0) * other
        return [op.shaped_as(below, x), op.shaped_as(total * pivot * sign, one)], []

    trips = op.Reshape(size, op.ints())
    (_, total), _ = op.loop(trips, step, [x, one])
    return op.Squeeze(total, [rank - 2, rank - 1])
