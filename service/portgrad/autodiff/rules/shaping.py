"""Operators that move or repeat elements without changing them, and casts."""

from __future__ import annotations

import numpy as np

from portgrad.autodiff.registry import broadcasting, vjp
from portgrad.autodiff.rules.softmax import weighs_without_nan
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

# -- the same elements in another shape or dtype -------------------------------------------------


@vjp("Reshape")
def reshape(op: Op, ct: Tensor, data: Tensor, shape: Tensor) -> tuple[Tensor, None]:
    return op.reshape_like(ct, data), None


@vjp("Flatten")
def flatten(op: Op, ct: Tensor, input: Tensor) -> Tensor:
    return op.reshape_like(ct, input)


@vjp("Squeeze")
def squeeze(op: Op, ct: Tensor, data: Tensor, axes: Tensor | None) -> tuple[Tensor, None]:
    return op.reshape_like(ct, data), None


@vjp("Unsqueeze")
def unsqueeze(op: Op, ct: Tensor, data: Tensor, axes: Tensor) -> tuple[Tensor, None]:
    return op.reshape_like(ct, data), None


@vjp("Transpose")
def transpose(op: Op, ct: Tensor, data: Tensor, *, perm: list[int] | None) -> Tensor:
    inverse = None if perm is None else [int(axis) for axis in np.argsort(perm)]
    return op.Transpose(ct, perm=inverse)


@vjp("Cast")
def cast(op: Op, ct: Tensor, input: Tensor) -> Tensor | None:
    return op.cast_like(ct, input) if input.floating else None


@vjp("CastLike")
def cast_like(op: Op, ct: Tensor, input: Tensor, target_type: Tensor) -> tuple[Tensor | None, None]:
    return op.cast_like(ct, input) if input.floating else None, None


# -- put together and taken apart ----------------------------------------------------------------


@vjp("Concat")
def concat(op: Op, ct: Tensor, inputs: list[Tensor], *, axis: int) -> tuple[list[Tensor]]:
    sizes = op.Concat(*(op.size(x, axis) for x in inputs), axis=0)
    parts = op.split(ct, sizes, axis, len(inputs))
    return ([op.shaped_as(part, x) for part, x in zip(parts, inputs, strict=True)],)


@vjp("Split")
def split(
    op: Op,
    ct: list[Tensor | None],
    input: Tensor,
    split: Tensor | None,
    *,
    outputs: list[Tensor],
    axis: int,
) -> tuple[Tensor, None]:
    parts = [
        op.zeros_like(y) if c is None else op.ranked(c, input)
        for c, y in zip(ct, outputs, strict=True)
    ]
    return op.shaped_as(op.Concat(*parts, axis=axis), input), None


# -- repeated ------------------------------------------------------------------------------------


@vjp("Expand")
def expand(op: Op, ct: Tensor, input: Tensor, shape: Tensor) -> tuple[Tensor, None]:
    return op.unbroadcast(ct, input), None


@vjp("Tile")
def tile(op: Op, ct: Tensor, input: Tensor, repeats: Tensor) -> tuple[Tensor, None]:
    # An axis of n elements repeated r times is one of (r, n): the sum is over every r.
    rank = op.rank(input)
    pairs = [
        part
        for axis in range(rank)
        for part in (op.Gather(repeats, [axis], axis=0), op.size(input, axis))
    ]
    if not pairs:
        return ct, None
    apart = op.Reshape(ct, op.Concat(*pairs, axis=0), allowzero=1)
    total = op.reduce_sum(apart, range(0, 2 * rank, 2), keepdims=False)
    return op.shaped_as(total, input), None


# -- reordered -----------------------------------------------------------------------------------


@vjp("DepthToSpace")
def depth_to_space(op: Op, ct: Tensor, input: Tensor, *, blocksize: int, mode: str) -> Tensor:
    if mode == "DCR":
        return op.shaped_as(op.SpaceToDepth(ct, blocksize=blocksize), input)
    # (b, c, h, block, w, block) to (b, c, block, block, h, w)
    batch, _, height, width = (op.size(input, axis) for axis in range(4))
    block = op.ints(blocksize)
    sizes = op.Concat(batch, op.size(ct, 1), height, block, width, block, axis=0)
    apart = op.Reshape(ct, sizes, allowzero=1)
    return op.reshape_like(op.Transpose(apart, perm=[0, 1, 3, 5, 2, 4]), input)


@vjp("SpaceToDepth", until=28)
def space_to_depth(op: Op, ct: Tensor, input: Tensor, *, blocksize: int) -> Tensor:
    return op.shaped_as(op.DepthToSpace(ct, blocksize=blocksize), input)


@vjp("SpaceToDepth", since=28)
def space_to_depth_by_mode(
    op: Op, ct: Tensor, input: Tensor, *, blocksize: int, mode: str
) -> Tensor:
    return op.shaped_as(op.DepthToSpace(ct, blocksize=blocksize, mode=mode), input)


@vjp("ReverseSequence")
def reverse_sequence(
    op: Op, ct: Tensor, input: Tensor, sequence_lens: Tensor, *, batch_axis: int, time_axis: int
) -> tuple[Tensor, None]:
    turned = op.ReverseSequence(ct, sequence_lens, batch_axis=batch_axis, time_axis=time_axis)
    return turned, None


# -- masked and summed along an axis -------------------------------------------------------------


@broadcasting("Where")
def where(
    op: Op, ct: Tensor, condition: Tensor, x: Tensor, y: Tensor, *, output: Tensor
) -> tuple[None, Tensor, Tensor]:
    nothing = op.scalar(0.0, ct)
    ct_x = op.Where(condition, ct, nothing)
    if weighs_without_nan(op, condition, x, y, output):
        return None, ct_x, ct
    return None, ct_x, op.Where(condition, nothing, ct)


@vjp("Trilu")
def trilu(
    op: Op, ct: Tensor, input: Tensor, k: Tensor | None, *, upper: int
) -> tuple[Tensor, None]:
    return op.Trilu(ct, k, upper=upper), None


@vjp("CumSum")
def cum_sum(
    op: Op, ct: Tensor, x: Tensor, axis: Tensor, *, exclusive: int, reverse: int
) -> tuple[Tensor, None]:
    return op.CumSum(ct, axis, exclusive=exclusive, reverse=1 - reverse), None


@vjp("Range")
def range_(
    op: Op, ct: Tensor, start: Tensor, limit: Tensor, delta: Tensor
) -> tuple[Tensor, None, Tensor]:
    steps = op.cast_like(op.iota(op.size(ct, 0)), ct)
    total = op.ReduceSum(ct, keepdims=0), op.ReduceSum(ct * steps, keepdims=0)
    return op.reshape_like(total[0], start), None, op.reshape_like(total[1], delta)
