"""Operators that put back what windows took: MaxUnpool, Col2Im. Their adjoints take it again."""

from __future__ import annotations

from collections.abc import Sequence

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("MaxUnpool", kink="of equal indices, which the standard leaves undefined, each is taken")
def max_unpool(
    op: Op, ct: Tensor, x: Tensor, i: Tensor, output_shape: Tensor | None
) -> tuple[Tensor, None, None]:
    taken = op.GatherElements(op.Reshape(ct, [-1]), op.Reshape(i, [-1]), axis=0)
    return op.reshape_like(taken, x), None, None


@vjp("Col2Im")
def col2im(
    op: Op,
    ct: Tensor,
    input: Tensor,
    image_shape: Tensor,
    block_shape: Tensor,
    *,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> tuple[Tensor, None, None]:
    known = op.known_size(block_shape, 0)
    count = op.rank(ct) - 2 if known is None else known
    ones, around = (1,) * count, tuple(pads or (0,) * (2 * count))
    image = op.Pad(ct, list(around), None, list(range(2, 2 + count))) if any(around) else ct
    for axis in reversed(range(count)):
        stride, dilation = (strides or ones)[axis], (dilations or ones)[axis]
        block, rows = op.Gather(block_shape, [axis]), op.Gather(image_shape, [axis])
        room = rows + (around[axis] + around[count + axis] - 1) - (block - 1) * dilation
        steps = op.iota(room / stride + 1) * stride
        taps = op.unsqueeze(op.iota(block) * dilation, 1)
        image = op.Gather(image, taps + steps, axis=2 + axis)
    blocks, windows = range(2, 2 + 2 * count, 2), range(3, 3 + 2 * count, 2)
    return op.reshape_like(op.Transpose(image, perm=[0, 1, *blocks, *windows]), input), None, None
