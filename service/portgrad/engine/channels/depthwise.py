"""Gradients of depthwise kernels in the runtime's blocks of channels.

A kernel's gradient is a convolution of the image with the signal for a kernel. The runtime
convolves depthwise in blocks of channels, 2 to 40 times as fast as what the rule says in standard
operators (a product for each tap), but only by kernels that are constant when a session is made.
So here its own operators are put in the place of the products. There the batch is laid along the
rows, with rows of zeros between examples, since each channel has one kernel:

    image (N, C, rows, …)     ── pad to R rows, stack ──▶ (1, C, N R, …)          ┐ convolved in
    signal (N, C, windows, …) ── pad to R / stride ──▶    (1, C, N R / stride, …) ┘ blocks
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from portgrad.autodiff.vocabulary.convolutions import CORRELATION
from portgrad.autodiff.vocabulary.windows import Windows
from portgrad.engine.channels.writing import DOMAIN, Writer, block_size


@dataclass(frozen=True)
class Correlation:
    """Products that together are the gradient of a depthwise kernel, and what they are made of."""

    node: ir.Node
    signal: ir.Value
    image: ir.Value
    windows: Windows

    @property
    def columns(self) -> int:
        """The columns that windows read."""
        return self._read(1)

    @property
    def rows(self) -> int:
        """The rows of one example, a multiple of the stride."""
        stride = self.windows.strides[0]
        return -(-self._read(0) // stride) * stride

    def _read(self, axis: int) -> int:
        """How much of the padded image windows read along an axis."""
        count = _sizes(self.signal)[1 + axis]
        return (count - 1) * self.windows.strides[axis] + self.windows.reach[axis]

    def image_pads(self) -> list[int]:
        """What makes the image the rows and columns that windows read, and the rows between."""
        _, height, width = _sizes(self.image)
        top, left = self.windows.begin
        unread = min(self._read(0) - top - height, 0)
        below = self.rows - (top + height + unread) + unread
        return [0, 0, top, left, 0, 0, below, self.columns - left - width]

    def signal_gap(self) -> int:
        """The rows of zeros behind the windows of an example."""
        return self.rows // self.windows.strides[0] - _sizes(self.signal)[1]


def find(node: ir.Node) -> Correlation | None:
    """What a node gives, if that is the gradient of a depthwise kernel that blocks serve."""
    windows = node.meta.get(CORRELATION)
    if not isinstance(windows, Windows) or len(windows.kernel) != 2 or windows.shift is not None:
        return None
    summed = _back(node.inputs[0], "Transpose", "Concat", "ReduceSum")
    matrices, elements = _back(summed, "MatMul"), _back(summed, "Mul")
    signal = _operand(_back(matrices or elements, "Reshape"))
    image = _operand(
        _back(matrices, "Transpose", "Reshape", "Slice", at=1)
        or _back(elements, "Reshape", "Slice", at=1)
    )
    framed = None if image is None else image.producer()
    if framed is not None and framed.op_type == "Pad" and not windows.unpadded:
        image = framed.inputs[0]
    if signal is None or image is None or not _in_blocks(signal, image):
        return None
    # With fewer rows to a kernel than to a stride, the convolution would give more than the kernel.
    wide = all(r >= s for r, s in zip(windows.reach, windows.strides, strict=True))
    return Correlation(node, signal, image, windows) if wide else None


def _back(start: ir.Value | ir.Node | None, *op_types: str, at: int = 0) -> ir.Node | None:
    """The last of a chain of nodes behind a value, or behind an operand of a node."""
    value = start.inputs[at] if isinstance(start, ir.Node) else start
    node: ir.Node | None = None
    for op_type in op_types:
        node = None if value is None else value.producer()
        if node is None or node.op_type != op_type or node.domain:
            return None
        value = node.inputs[0]
    return node


def _operand(node: ir.Node | None) -> ir.Value | None:
    return None if node is None else node.inputs[0]


def _in_blocks(signal: ir.Value, image: ir.Value) -> bool:
    """Whether both have whole blocks of the same channels, in float32 and of known sizes."""
    if {signal.dtype, image.dtype} != {ir.DataType.FLOAT}:
        return False
    sizes = [*_sizes(signal), *_sizes(image)]
    known = len(sizes) == 6 and min(sizes) > 0
    return known and sizes[0] == sizes[3] and sizes[0] % block_size() == 0


def _sizes(value: ir.Value) -> list[int]:
    """Channels, rows and columns; fewer where some are not known."""
    dims = () if value.shape is None else value.shape.dims
    return [dim for dim in dims[1:] if isinstance(dim, int)] if len(dims) == 4 else []


def replace(found: Correlation, twin: Callable[[ir.Value], ir.Value | None]) -> None:
    """Put the runtime's blocked operators in the place of products, in place.

    Args:
        found: the products.
        twin: gives what is the same in blocks, if there is such a value.
    """
    node, windows, old = found.node, found.windows, found.node.outputs[0]
    channels, _, columns = _sizes(found.signal)
    write = Writer(node, f"{old.name}/in-blocks")
    gap = [*[0] * 6, found.signal_gap(), 0]
    signal = _stacked(write, found.signal, twin(found.signal), gap)
    image = _stacked(write, found.image, twin(found.image), found.image_pads())
    made = write.node(
        "Conv",
        image,
        write.reshape(signal, channels, 1, -1, columns),
        domain=DOMAIN,
        group=channels,
        # The kernel of the net goes over its image by dilations, and the signal's by strides.
        strides=list(windows.dilations),
        dilations=list(windows.strides),
        pads=[0, 0, windows.reach[0] - windows.strides[0], 0],
    )
    plain = write.node("ReorderOutput", made, domain=DOMAIN, channels=channels)
    weight = write.reshape(plain, channels, 1, *windows.kernel)
    ir.convenience.replace_all_uses_with(old, weight, replace_graph_outputs=True)
    name, old.name = old.name, f"{old.name}/by-products"
    weight.name = name


def _stacked(write: Writer, value: ir.Value, twin: ir.Value | None, pads: list[int]) -> ir.Value:
    """(N, C, rows, columns) as (1, C, all rows, columns), in blocks, with zeros around."""
    channels, rows, columns = _sizes(value)
    wide = columns + pads[3] + pads[7]
    if twin is not None:  # in whose memory a column of a block is one number after the other
        size = block_size()
        value = write.reshape(twin, -1, channels // size, rows, columns * size)
        pads = [*pads[:3], pads[3] * size, *pads[4:7], pads[7] * size]
    padded = write.node("Pad", value, write.ints(*pads)) if any(pads) else value
    stacked = write.reshape(
        write.node("Transpose", padded, perm=[1, 0, 2, 3]), 1, channels, -1, wide
    )
    return stacked if twin is not None else write.node("ReorderInput", stacked, domain=DOMAIN)
