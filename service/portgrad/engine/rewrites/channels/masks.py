"""Products with masks of 0 and 1, in the kernel that scales what is quantised.

A mask of a byte for each element, with what it masks for scales (of a block of one element each),
gives their product to the last bit. It is read in a quarter of the time of a mask in float32, which
need not be made.
"""

from __future__ import annotations

import onnx_ir as ir

from portgrad.engine.rewrites.writing import Writer


def parts(product: ir.Node) -> tuple[ir.Value, ir.Value] | None:
    """What is masked, and the condition that a mask says as 0 and 1, if it is such a product.

    It has to be in float32; whether both have the same shape is not looked at.
    """
    if product.op_type != "Mul" or product.outputs[0].dtype != ir.DataType.FLOAT:
        return None
    a, b = product.inputs
    for ct, mask in ((a, b), (b, a)):
        cast = None if mask is None else mask.producer()
        if ct is None or cast is None or cast.op_type != "Cast" or cast.domain:
            continue
        told = cast.inputs[0]
        if told is not None and told.dtype == ir.DataType.BOOL:
            return ct, told
    return None


def masked(write: Writer, ct: ir.Value, told: ir.Value) -> ir.Value:
    """A float32 value of two axes or more where a condition of its shape holds, 0 times it else."""
    byte = ir.DataType.UINT8
    mask = write.node("Cast", told, dtype=byte, shape=told.shape, to=int(byte))
    return write.node("DequantizeLinear", mask, ct, axis=0, block_size=1)
