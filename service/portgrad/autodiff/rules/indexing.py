"""Operators that take elements by index, put them by index, or pick them by value.

Adjoints of taking are sums at the places that were taken from; see `vocabulary.indexing` for the
kernels they use and why.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

_TIES = (
    "mul: exact with one zero among the factors; min, max: even among ties; "
    "none: of duplicate indices, which the standard leaves undefined, each gets the cotangent"
)


# -- taking --------------------------------------------------------------------------------------


@vjp("Gather")
def gather(op: Op, ct: Tensor, data: Tensor, indices: Tensor, *, axis: int) -> tuple[Tensor, None]:
    place = indices.constant
    if place is None or place.size != 1:
        return op.add_taken(data, indices, ct, axis), None
    # A single known place, such as a class token, needs no scatter.
    axis %= op.rank(data)
    row = op.squeeze(ct, *range(axis, axis + place.ndim - 1))
    row = op.unsqueeze(row, axis) if place.ndim == 0 else row
    before = op.positive(op.ints(int(place.item())), op.size(data, axis))
    return op.pad_to(row, data, [axis], before), None


@vjp("GatherElements")
def gather_elements(
    op: Op, ct: Tensor, data: Tensor, indices: Tensor, *, axis: int
) -> tuple[Tensor, None]:
    return op.add_along(data, indices, ct, axis), None


@vjp("GatherND")
def gather_nd(
    op: Op, ct: Tensor, data: Tensor, indices: Tensor, *, batch_dims: int
) -> tuple[Tensor, None]:
    return op.add_tuples(data, indices, ct, batch_dims), None


@vjp("Compress")
def compress(
    op: Op, ct: Tensor, input: Tensor, condition: Tensor, *, axis: int | None
) -> tuple[Tensor, None]:
    chosen = op.Reshape(op.NonZero(condition), [-1])
    if axis is None:
        return op.add_back(input, chosen, ct), None
    return op.add_taken(input, chosen, ct, axis), None


@vjp("TopK", kink="among ties, what the forward pass lists")
def top_k(
    op: Op, ct: Tensor, x: Tensor, k: Tensor, *, indices: Tensor, axis: int
) -> tuple[Tensor, None]:
    return op.ScatterElements(op.zeros_like(x), indices, ct, axis=axis), None


@vjp("Unique", kink="of equal elements, the first")
def unique(op: Op, ct: Tensor, x: Tensor, *, indices: Tensor, axis: int | None) -> Tensor:
    if axis is None:
        return op.add_back(x, indices, ct)
    return op.add_taken(x, indices, ct, axis)


# -- putting -------------------------------------------------------------------------------------


@vjp("ScatterElements", kink=_TIES)
def scatter_elements(
    op: Op,
    ct: Tensor,
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    *,
    output: Tensor,
    axis: int,
    reduction: str,
) -> tuple[Tensor, None, Tensor]:
    def take(x: Tensor) -> Tensor:
        return op.shaped_as(op.GatherElements(x, indices, axis=axis), updates)

    def put(x: Tensor, u: Tensor, how: str) -> Tensor:
        return op.scatter(x, indices, u, axis, how)

    ct_data, ct_updates = _put_back(op, ct, data, updates, output, reduction, take, put)
    return ct_data, None, ct_updates


@vjp("ScatterND", kink=_TIES)
def scatter_nd(
    op: Op,
    ct: Tensor,
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    *,
    output: Tensor,
    reduction: str,
) -> tuple[Tensor, None, Tensor]:
    if reduction in ("none", "add"):
        taken = op.shaped_as(op.GatherND(ct, indices), updates)
        overwritten = op.ScatterND(ct, indices, op.zeros_like(updates))
        return (ct if reduction == "add" else overwritten), None, taken
    # The others on flat tensors, since ScatterND loses updates (see vocabulary.indexing).
    positions = op.Reshape(op.tuple_positions(data, indices), [-1])

    def take(x: Tensor) -> Tensor:
        return op.reshape_like(op.GatherElements(op.Reshape(x, [-1]), positions), updates)

    def put(x: Tensor, u: Tensor, how: str) -> Tensor:
        flat = op.Reshape(x, [-1]), positions, op.Reshape(u, [-1])
        return op.reshape_like(op.scatter(*flat, 0, how), x)

    ct_data, ct_updates = _put_back(op, ct, data, updates, output, reduction, take, put)
    return ct_data, None, ct_updates


Take = Callable[[Tensor], Tensor]
Put = Callable[[Tensor, Tensor, str], Tensor]


def _put_back(
    op: Op,
    ct: Tensor,
    data: Tensor,
    updates: Tensor,
    y: Tensor,
    reduction: str,
    take: Take,
    put: Put,
) -> tuple[Tensor, Tensor]:
    """Cotangents of data and updates, given how the node takes and puts elements."""
    match reduction:
        case "none":
            return put(ct, op.zeros_like(updates), "none"), take(ct)
        case "add":
            return ct, take(ct)
        case "mul":
            return _of_products(op, ct, data, updates, take, put)
        case _:
            from_data = op.mask(op.Equal(data, y), ct)
            from_updates = op.mask(op.Equal(updates, take(y)), ct)
            share = ct / put(from_data, from_updates, "add")
            return share * from_data, take(share) * from_updates


def _of_products(
    op: Op, ct: Tensor, data: Tensor, updates: Tensor, take: Take, put: Put
) -> tuple[Tensor, Tensor]:
    # With P the product of all nonzero updates of a place and Z the number of zero ones, the
    # product of the others is P/u for u != 0 = Z, P for u = 0 and Z = 1, and 0 otherwise.
    zero = op.Equal(updates, op.scalar(0.0, updates))
    divisor = op.Where(zero, op.scalar(1.0, updates), updates)
    counted = put(op.zeros_like(data), op.mask(zero, data), "add")
    others = take(put(ct * data, divisor, "mul")) / divisor
    alone = op.Equal(take(counted), op.mask(zero, data))
    ct_data = ct * put(op.ones_like(data), updates, "mul")
    return ct_data, op.Where(alone, others, op.scalar(0.0, ct))


@vjp("TensorScatter")
def tensor_scatter(
    op: Op,
    ct: Tensor,
    past_cache: Tensor,
    update: Tensor,
    write_indices: Tensor | None,
    *,
    axis: int,
    mode: str,
) -> tuple[Tensor, Tensor, None]:
    kept = op.TensorScatter(ct, op.zeros_like(update), write_indices, axis=axis, mode=mode)
    rank = op.rank(past_cache)
    axis %= rank
    places = op.unsqueeze(op.iota(op.size(update, axis)), 0)
    if write_indices is not None:
        places = op.unsqueeze(write_indices, 1) + places
    if mode == "circular":
        places = op.Mod(places, op.size(past_cache, axis))
    places = op.unsqueeze(places, *(a for a in range(1, rank) if a != axis))
    taken = op.GatherElements(ct, op.Expand(places, op.shape(update)), axis=axis)
    return kept, op.shaped_as(taken, update), None


# -- choosing by value ---------------------------------------------------------------------------


@vjp("OneHot")
def one_hot(
    op: Op, ct: Tensor, indices: Tensor, depth: Tensor, values: Tensor, *, axis: int
) -> tuple[None, None, Tensor]:
    unit = op.constant(np.asarray([0, 1], values.dtype.numpy()))
    hot = op.OneHot(indices, depth, unit, axis=axis) > 0.5
    nothing = op.scalar(0.0, ct)
    off = op.ReduceSum(op.Where(hot, nothing, ct), keepdims=0)
    on = op.ReduceSum(op.Where(hot, ct, nothing), keepdims=0)
    return None, None, op.Concat(op.Unsqueeze(off, [0]), op.Unsqueeze(on, [0]), axis=0)
