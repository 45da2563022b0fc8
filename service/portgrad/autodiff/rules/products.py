"""ReduceProd: the product of all other elements, exact where some are zero, to every order.

Dividing the product by an element fails at zeros, and so does counting them once the result is
differentiated again. So nothing is divided: an element's cofactor is the product of what comes
before it times the product of what comes after, each a running product made by doubling.
"""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

_END = 2**63 - 1


@vjp("ReduceProd")
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
    ones = op.ones_like(op.Slice(x, [0], [1], [axis]))
    before = op.Concat(ones, op.Slice(x, [0], [-1], [axis]), axis=axis)
    after = op.Concat(op.Slice(x, [1], [_END], [axis]), ones, axis=axis)
    step = 1
    while step < size - 1:
        pad = op.Expand(op.scalar(1.0, x), op.Shape(op.Slice(x, [0], [step], [axis])))
        before = before * op.Concat(pad, op.Slice(before, [0], [-step], [axis]), axis=axis)
        after = after * op.Concat(op.Slice(after, [step], [_END], [axis]), pad, axis=axis)
        step *= 2
    return before * after


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
