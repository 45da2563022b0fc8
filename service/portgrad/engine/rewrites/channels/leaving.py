"""What leaves blocks as something small: sums, and gradients of kernels of one tap.

They were computed from whole images that were put in order for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from portgrad.autodiff.vocabulary.convolutions import POINTWISE
from portgrad.engine.rewrites.channels.layout import DOMAIN, block_size, chain, images
from portgrad.engine.rewrites.writing import Writer

# Channels of the narrow operand up to which blocks pay. In CPU-ms, in order and in blocks: 96 and
# 16 channels of 112² 4.0 and 3.0, 144 and 24 of 56² 2.0 and 1.3, 192 and 32 of 28² 0.48 and 0.45,
# 960 and 160 of 7² 0.6 and 1.2.
_NARROW = 32


def sums(node: ir.Node) -> bool:
    """Whether a node gives the sum for each channel of images whose sizes are known."""
    axes = None if len(node.inputs) < 2 or node.inputs[1] is None else node.inputs[1]
    numbers = None if axes is None else ir.convenience.get_const_tensor(axes)
    keeps = node.attributes.get("keepdims")
    flat = keeps is not None and keeps.as_int() == 0
    known = node.inputs[0] is not None and len(images(node.inputs[0])) == 3
    return flat and known and numbers is not None and numbers.numpy().tolist() == [0, 2, 3]


def write_sums(write: Writer, node: ir.Node, twin: ir.Value) -> ir.Value:
    """The sum for each channel, by means over columns and then rows.

    That rounds less than the runtime's sum, and takes a tenth of its time.
    """
    channels, rows, columns = images(node.inputs[0])
    of_rows = write.node("AveragePool", twin, domain=DOMAIN, kernel_shape=[1, columns])
    means = write.node("GlobalAveragePool", of_rows, domain=DOMAIN)
    total = write.node("ReduceSum", means, write.ints(0, 2, 3), keepdims=0)
    total = write.node("Mul", total, write.number(rows * columns))
    return write.node("Slice", total, write.ints(0), write.ints(channels), shape=[channels])


def dot(node: ir.Node) -> tuple[ir.Value, ir.Value] | None:
    """Two images of the same sizes, if a node gives the sum of their product over everything.

    They fill blocks: what fills them up would count.
    """
    flat = [chain(node.inputs[0], "Reshape"), chain(node.inputs[1], "Transpose", "Reshape")]
    found = [one.inputs[0] for one in flat if one is not None and _flattens(one)]
    first, second = [*found, None, None][:2]
    if first is None or second is None or images(first) != images(second):
        return None
    return (first, second) if len(images(first)) == 3 and _fills(images(first)[0]) else None


def write_dot(write: Writer, first: ir.Value, second: ir.Value) -> ir.Value:
    """The sum of the products of two twins: the order of elements does not matter."""
    rows = [write.reshape(twin, 1, -1) for twin in (first, second)]
    return write.node("MatMul", rows[0], write.node("Transpose", rows[1], perm=[1, 0]))


def _flattens(node: ir.Node) -> bool:
    sizes = None if node.inputs[1] is None else ir.convenience.get_const_tensor(node.inputs[1])
    return sizes is not None and sizes.numpy().tolist() == [1, -1]


def _fills(channels: int) -> bool:
    return channels % block_size() == 0


@dataclass(frozen=True)
class Product:
    """The gradient of a kernel of one tap: a product of two images, one of few channels."""

    node: ir.Node
    wide: ir.Value
    narrow: ir.Value
    turned: bool  # whether the wide one is the signal, so that its channels come first

    def write(self, write: Writer, twin: ir.Value) -> ir.Value:
        """The same from the wide one's twin, block by block."""
        size = block_size()
        (wide, rows, columns), (narrow, *_) = images(self.wide), images(self.narrow)
        spots = rows * columns
        blocks = write.reshape(twin, -1, wide // size, spots, size)
        left = write.reshape(self.narrow, -1, 1, narrow, spots)
        product = write.node("MatMul", left, blocks)  # (N, blocks, narrow, size)
        total = write.node("ReduceSum", product, write.ints(0), keepdims=0)
        order, shape = ([0, 2, 1], [wide, narrow]) if self.turned else ([1, 0, 2], [narrow, wide])
        return write.reshape(write.node("Transpose", total, perm=order), *shape, 1, 1)


def find(node: ir.Node) -> Product | None:
    """What a node gives, if that is the gradient of a kernel of one tap that blocks serve."""
    if POINTWISE not in node.meta:
        return None
    product = chain(node.inputs[0], "Transpose", "Concat", "ReduceSum", "MatMul")
    left, right = chain(product, "Reshape"), chain(product, "Transpose", "Reshape", at=1)
    if left is None or right is None:
        return None
    signal, image = left.inputs[0], right.inputs[0]
    assert signal is not None
    assert image is not None
    if len(images(signal)) != 3 or len(images(image)) != 3:
        return None
    turned = images(signal)[0] >= images(image)[0]
    wide, narrow = (signal, image) if turned else (image, signal)
    fits = _fills(images(wide)[0]) and images(narrow)[0] <= _NARROW
    return Product(node, wide, narrow, turned) if fits and wide.dtype == ir.DataType.FLOAT else None
