"""com.microsoft: products with packed weights, and lookups in packed tables.

Codes have no derivative. Scales, zero points that are floats, and what is not packed have one.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.registry import body
from portgrad.autodiff.rules.packing import LARGE, cut, dequantised, repeated, unpacked
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

# Codes of bitsandbytes by quant_type: FP4 has a sign, 2 bits of exponent and 1 of fraction; NF4
# the means of 16 slices of a normal distribution (arXiv 2305.14314, appendix E).
_FP4 = [0.0, 1 / 192, 2 / 3, 1.0, 1 / 3, 1 / 2, 1 / 6, 1 / 4]
_NF4 = [
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
]
_TABLES = [[*_FP4, *(-x for x in _FP4)], _NF4]
_WIDER = {ir.DataType.INT4: ir.DataType.INT8, ir.DataType.UINT4: ir.DataType.UINT8}


@body("MatMulNBits", domain=DOMAIN, cost=LARGE)
def mat_mul_n_bits(
    op: Op,
    a: Tensor,
    b: Tensor,
    scales: Tensor,
    zero_points: Tensor | None,
    g_idx: Tensor | None,
    bias: Tensor | None,
    *,
    k: int,
    n: int,
    bits: int,
    block_size: int,
    weight_prepacked: int,
) -> Tensor:
    _check_layout(weight_prepacked, bits, zero_points, g_idx)
    if b.static_shape is not None and 0 in b.static_shape:
        return _nothing(op, a, bias, n)
    blocks = -(-k // block_size)
    packed = op.reshape(b, [n, blocks * block_size * bits // 8])
    codes = unpacked(op, packed, bits)
    scale = op.reshape(scales, [n, blocks])
    if zero_points is not None and not zero_points.floating:
        width = -(-blocks * bits // 8)
        zeros = cut(op, unpacked(op, op.reshape(zero_points, [n, width]), bits), 1, blocks)
        weight = dequantised(op, codes, scale, zeros, bits, block_size)
    elif zero_points is None and g_idx is None:
        weight = dequantised(op, codes, scale, None, bits, block_size)
    else:
        weight = _by_group(op, cut(op, codes, 1, k), scale, zero_points, g_idx, bits, block_size)
    return _times(op, a, cut(op, weight, 1, k), bias)


def _by_group(
    op: Op,
    codes: Tensor,
    scale: Tensor,
    zero_points: Tensor | None,
    g_idx: Tensor | None,
    bits: int,
    block: int,
) -> Tensor:
    """Codes (n, k) as numbers, by zero points that are floats, or by the block that g_idx names."""
    k = op.dims(codes)[1]

    def spread(x: Tensor) -> Tensor:
        return repeated(op, x, 1, block, k) if g_idx is None else op.Gather(x, g_idx, axis=1)

    zero: Tensor | float = 2.0 ** (bits - 1)
    if zero_points is not None:
        zero = spread(op.cast_like(op.reshape_like(zero_points, scale), scale))
    return (op.cast_like(codes, scale) - zero) * spread(scale)


def _check_layout(
    prepacked: int, bits: int, zero_points: Tensor | None, g_idx: Tensor | None
) -> None:
    if prepacked or bits not in (2, 4, 8):
        raise Unsupported(
            f"its weights of {bits} bits are not as onnxruntime's CPU kernel reads them",
            remedy="Quantise the weights again, to 2, 4 or 8 bits, without prepacking.",
        )
    packed = zero_points is not None and not zero_points.floating
    if g_idx is not None and (bits != 4 or packed):
        raise Unsupported(
            "beside g_idx, onnxruntime's CPU kernel leaves out packed zero points and knows 4 bits "
            "alone",
            remedy="Quantise the weights again without g_idx.",
        )


def _times(op: Op, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A (…, k) times the transpose of a weight (n, k)."""
    *lead, last = op.dims(a)
    product = op.Gemm(op.reshape(a, [op.product(*lead), last]), weight, bias, transB=1)
    return op.reshape(product, [*lead, op.dims(weight)[0]])


def _nothing(op: Op, a: Tensor, bias: Tensor | None, n: int) -> Tensor:
    """A weight of no elements stands for zeros."""
    shape = op.vector([*op.dims(a)[:-1], n])
    zeros = op.ConstantOfShape(shape, value=np.zeros(1, a.dtype.numpy()))
    return zeros if bias is None else zeros + bias


@body("MatMulBnb4", domain=DOMAIN, cost=LARGE)
def mat_mul_bnb4(
    op: Op,
    a: Tensor,
    b: Tensor,
    absmax: Tensor,
    *,
    k: int,
    n: int,
    block_size: int,
    quant_type: int,
    transb: int,
) -> Tensor:
    if not transb:
        raise Unsupported(
            "onnxruntime's CPU kernel takes the weights of transB = 0 in another order than its "
            "documentation says",
            remedy="Export the weights for transB = 1.",
        )
    codes = op.Cast(unpacked(op, b, 4, high_first=True), to=ir.DataType.INT32)
    table = op.constant(np.asarray(_TABLES[quant_type], a.dtype.numpy()))
    scales = repeated(op, absmax, 0, block_size, n * k)
    weight = op.reshape(op.Gather(table, cut(op, codes, 0, n * k)) * scales, [n, k])
    return _times(op, a, weight)


@body("GatherBlockQuantized", domain=DOMAIN)
def gather_block_quantized(
    op: Op,
    data: Tensor,
    indices: Tensor,
    scales: Tensor,
    zero_points: Tensor | None,
    *,
    bits: int,
    block_size: int,
    gather_axis: int,
    quantize_axis: int,
) -> Tensor:
    rank = op.rank(data)
    axis, along = gather_axis % rank, quantize_axis % rank
    size, given = op.size(data, axis), op.as_int64(indices)
    found = op.And(given >= -size, given < size)
    places = op.positive(op.Where(found, given, op.index(0)), size)
    width = bits if data.dtype == ir.DataType.UINT8 else 8
    codes = op.cast_like(unpacked(op, _taken(op, data, places, axis), width), scales)
    rows = _rows_of_scales(op, places, scales, axis, block_size if along == axis else 1)
    scale, zero = op.Gather(scales, rows, axis=axis), None
    if zero_points is not None:
        packed = _taken(op, zero_points, rows, axis)
        last = op.rank(scale) - 1
        zero = op.cast_like(cut(op, unpacked(op, packed, width), last, op.dims(scale)[-1]), scales)
    if along != axis and block_size:
        across = along if along < axis else along + op.rank(indices) - 1
        whole = op.dims(codes)[across]
        scale = repeated(op, scale, across, block_size, whole)
        zero = None if zero is None else repeated(op, zero, across, block_size, whole)
    middle = 2.0 ** (bits - 1) if data.dtype == ir.DataType.UINT8 else 0.0
    values = (codes - (middle if zero is None else zero)) * scale
    # An index outside of the table finds zeros.
    behind, before = range(axis - rank + 1, 0), range(axis)
    return op.Where(op.unsqueeze(found, *before, *behind), values, op.scalar(0.0, scales))


def _taken(op: Op, codes: Tensor, places: Tensor, axis: int) -> Tensor:
    """Slices of codes, in a dtype that Gather knows."""
    if codes.dtype != ir.DataType.UINT8:
        codes = op.Cast(codes, to=_WIDER.get(codes.dtype, ir.DataType.FLOAT))
    return op.Gather(codes, places, axis=axis)


def _rows_of_scales(op: Op, places: Tensor, scales: Tensor, axis: int, block: int) -> Tensor:
    """Which slice of the scales goes with each slice of the codes; 0 where all share one."""
    if not block or op.known_size(scales, axis) == 1:
        return op.full_like(places, 0)
    return places if block == 1 else op.Div(places, block)
