"""Weights that are codes of a few bits, packed into bytes, with a scale for each block of them."""

from __future__ import annotations

import numpy as np

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.shapes import Size

_NO_KERNEL = 28  # the first version of DequantizeLinear that onnxruntime does not have
LARGE = "the weights are unpacked to floats, which take 2 to 16 times as much memory"


def unpacked(op: Op, packed: Tensor, bits: int, *, high_first: bool = False) -> Tensor:
    """Bytes (…, n) as codes (…, n · 8 / bits), each in a byte of its own; low bits come first."""
    if bits == 8:
        return packed
    places = np.arange(0, 8, bits, dtype=np.uint8)
    spread = op.unsqueeze(packed, -1)
    shifted = op.BitShift(spread, places[::-1].copy() if high_first else places, direction="RIGHT")
    codes = op.BitwiseAnd(shifted, np.uint8(2**bits - 1).reshape(()))
    *lead, last = op.dims(packed)
    return op.reshape(codes, [*lead, op.product(last, 8 // bits)])


def cut(op: Op, x: Tensor, axis: int, size: Size) -> Tensor:
    """The first elements of an axis."""
    known = op.known_size(x, axis)
    if known is not None and known == size:
        return x
    return op.Slice(x, [0], op.vector([size]), [axis])


def repeated(op: Op, x: Tensor, axis: int, times: int, size: Size) -> Tensor:
    """X with each element of an axis several times in a row, up to a size of that axis."""
    dims = op.dims(x)
    wide = [*dims[: axis + 1], times, *dims[axis + 1 :]]
    spread = op.Expand(op.unsqueeze(x, axis + 1), op.vector(wide))
    flat = op.reshape(spread, [*dims[:axis], op.product(dims[axis], times), *dims[axis + 1 :]])
    return cut(op, flat, axis, size)


def dequantised(
    op: Op, codes: Tensor, scales: Tensor, zeros: Tensor | None, bits: int, block: int
) -> Tensor:
    """Codes (…, k), each in a byte, as numbers: a scale and a zero point for each block.

    By one DequantizeLinear. The runtime computes the numbers once, when it reads the graph, and
    would hold whatever floats lie between at the same time (measured for 100 M weights of 4 bits:
    a peak of 1.8 GB, against 3.1 GB by casting, subtracting and multiplying).

    Args:
        op: the emitter.
        codes: uint8; k is a multiple of the block.
        scales: (…, k / block), of the dtype of the result.
        zeros: uint8 of the same shape; None for the middle of the codes.
        bits: of a code.
        block: its size.
    """
    axis = op.rank(codes) - 1
    if zeros is None:
        middle = np.full(1, 2 ** (bits - 1), np.uint8)
        zeros = op.ConstantOfShape(op.shape(scales), value=middle)
    if op.opset >= _NO_KERNEL:
        size = op.dims(codes)[axis]
        zero, scale = (repeated(op, x, axis, block, size) for x in (zeros, scales))
        return (op.cast_like(codes, scales) - op.cast_like(zero, scales)) * scale
    numbers = op.DequantizeLinear(codes, scales, zeros, axis=axis, block_size=block)
    return op.shaped_as(numbers, codes)
