"""ReduceProd and CumProd: products of all other elements, exact at zeros, to every order.

Dividing the product by an element fails at zeros, and so does counting them once the result is
differentiated again. So nothing is divided: an element's cofactor is the product of what comes
before it times the product of what comes after, each a running product made by doubling.
"""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

_END = 2**63 - 1


@vjp("ReduceProd", cost="every pair of elements is held where the sizes of its axes are not known")
def reduce_prod(
    op: Op,
    ct: Tensor,
    data: Tensor,
    axes: Tensor | None,
    *,
    keepdims: int,
    noop_with_empty_axes: int,
) -> tuple[Tensor, None]:
    kept = op.keep_reduced(ct, data, axes, keepdims, noop_with_empty_axes)
    known = op.reduced_axes(data, axes, noop_with_empty_axes)
    if known is None or any(op.known_size(data, axis) is None for axis in known):
        others = _others(op, data, axes, noop_with_empty_axes)
        return op.shaped_as(others * kept, data), None
    # One axis after another: the product over two is a product of products.
    partial = [data]
    for axis in known[:-1]:
        partial.append(op.ReduceProd(partial[-1], [axis], keepdims=1))
    for axis, x in reversed(list(zip(known, partial, strict=False))):
        kept = kept * _cofactors(op, x, axis)
    return op.shaped_as(kept, data), None


def _cofactors(op: Op, x: Tensor, axis: int) -> Tensor:
    """The product of all other elements along an axis of known size."""
    size = op.known_size(x, axis) or 0
    before, after = _moved(op, x, axis, 1, 1.0, back=True), _moved(op, x, axis, 1, 1.0)
    step = 1
    while step < size - 1:
        before = before * _moved(op, before, axis, step, 1.0, back=True)
        after = after * _moved(op, after, axis, step, 1.0)
        step *= 2
    return before * after


def _moved(op: Op, x: Tensor, axis: int, step: int, beyond: float, *, back: bool = False) -> Tensor:
    """At each place the element some steps later, or earlier; a number where there is none."""
    gap = op.Expand(op.scalar(beyond, x), op.Shape(op.Slice(x, [0], [step], [axis])))
    if back:
        moved = op.Concat(gap, op.Slice(x, [0], [-step], [axis]), axis=axis)
    else:
        moved = op.Concat(op.Slice(x, [step], [_END], [axis]), gap, axis=axis)
    return op.shaped_as(moved, x)


def _others(op: Op, data: Tensor, axes: Tensor | None, noop: int) -> Tensor:
    """The same where sizes or axes are not known: every pair of elements is looked at.

    Elements go into one product if they have the same place in the reduced tensor.
    """
    kept = op.ReduceSum(data, axes, keepdims=1, noop_with_empty_axes=noop)
    place = op.Reshape(op.Expand(op.positions(kept), op.Shape(data)), [-1])
    mine = op.positions(op.Reshape(data, [-1]))
    together = op.And(
        op.Equal(op.Unsqueeze(place, [1]), op.Unsqueeze(place, [0])),
        op.Not(op.Equal(op.Unsqueeze(mine, [1]), op.Unsqueeze(mine, [0]))),
    )
    table = op.Where(together, op.Unsqueeze(op.Reshape(data, [-1]), [0]), 1.0)
    return op.reshape_like(op.ReduceProd(table, [1], keepdims=0), data)


# -- CumProd -------------------------------------------------------------------------------------


@vjp("CumProd", cost="every pair of places along its axis is held where its size is not known")
def cum_prod(
    op: Op, ct: Tensor, x: Tensor, axis: Tensor, *, exclusive: int, reverse: int
) -> tuple[Tensor, None]:
    # x_k is a factor of every y_i from its own place on, so its cotangent is the product of what
    # comes before k, times the sum of each later ct_i times the product of what lies between.
    if axis.constant is None:
        flat_ct, flat_x = op.around(ct, axis), op.around(x, axis)
        return op.reshape_like(_of_running(op, flat_ct, flat_x, 1, exclusive, reverse), x), None
    place = int(axis.constant.reshape(())) % op.rank(x)
    return _of_running(op, ct, x, place, exclusive, reverse), None


def _of_running(op: Op, ct: Tensor, x: Tensor, axis: int, exclusive: int, reverse: int) -> Tensor:
    before = op.CumProd(x, op.index(axis), exclusive=1, reverse=reverse)
    sums = _sums_of_later if op.known_size(x, axis) is not None else _sums_by_table
    return before * sums(op, ct, x, axis, exclusive, reverse)


def _sums_of_later(
    op: Op, ct: Tensor, x: Tensor, axis: int, exclusive: int, reverse: int
) -> Tensor:
    """R_k = ct_k + x_(k+1) R_(k+1), by doubling; of ct_(k+1) if x_k is no factor of y_k."""
    back, size = bool(reverse), op.known_size(x, axis) or 0
    total = _moved(op, ct, axis, 1, 0.0, back=back) if exclusive else ct
    slope = _moved(op, x, axis, 1, 0.0, back=back)
    step = 1
    while step < size:
        total = total + slope * _moved(op, total, axis, step, 0.0, back=back)
        slope = slope * _moved(op, slope, axis, step, 0.0, back=back)
        step *= 2
    return total


def _sums_by_table(
    op: Op, ct: Tensor, x: Tensor, axis: int, exclusive: int, reverse: int
) -> Tensor:
    """The same where the size is not known: every pair of places is looked at."""
    places, rest = op.iota(op.size(x, axis)), range(1, op.rank(x) - axis)
    mine, other = (op.unsqueeze(op.unsqueeze(places, *rest), at) for at in (1, 0))
    later = op.Less(other, mine) if reverse else op.Less(mine, other)
    factors = op.Where(later, op.unsqueeze(x, axis), 1.0)
    between = op.CumProd(factors, op.index(axis + 1), exclusive=exclusive, reverse=reverse)
    counted = later if exclusive else op.Or(later, op.Equal(mine, other))
    terms = op.Where(counted, between * op.unsqueeze(ct, axis), op.scalar(0.0, ct))
    return op.shaped_as(op.reduce_sum(terms, [axis + 1], keepdims=False), x)
