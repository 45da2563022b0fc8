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

import platform
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from portgrad.autodiff.vocabulary.convolutions import CORRELATION
from portgrad.autodiff.vocabulary.windows import Windows

_DOMAIN = "com.microsoft.nchwc"
_BLOCK = 16  # or 8, by machine
# Where the runtime has kernels for its blocks whatever the instruction set.
_MACHINES = {"x86_64", "AMD64"}


def say(model: ir.Model) -> bool:
    """Put the runtime's blocked operators in the place of products, in place.

    Returns:
        Whether there are any; they need at least one example.
    """
    if platform.machine() not in _MACHINES:
        return False
    found = [c for node in model.graph.all_nodes() if (c := _depthwise(node)) is not None]
    for correlation in found:
        _replace(correlation)
    if found:
        model.graph.opset_imports[_DOMAIN] = 1
        RemoveUnusedNodesPass()(model)
    return bool(found)


@dataclass(frozen=True)
class _Correlation:
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


def _depthwise(node: ir.Node) -> _Correlation | None:
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
    return _Correlation(node, signal, image, windows) if wide else None


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
    return known and sizes[0] == sizes[3] and sizes[0] % _BLOCK == 0


def _sizes(value: ir.Value) -> list[int]:
    """Channels, rows and columns; fewer where some are not known."""
    dims = () if value.shape is None else value.shape.dims
    return [dim for dim in dims[1:] if isinstance(dim, int)] if len(dims) == 4 else []


class _Chain:
    """Nodes one after the other, in front of a node of a graph."""

    def __init__(self, before: ir.Node, value: ir.Value, stem: str) -> None:
        self.value = value
        self._before, self._stem, self._count = before, stem, 0

    def then(
        self, op_type: str, *operands: ir.Value, domain: str = "", **attributes: object
    ) -> None:
        """One more node on the value, which its output becomes."""
        made = [ir.convenience.convert_attribute(k, v) for k, v in attributes.items()]  # type: ignore[arg-type]
        node = ir.Node(domain, op_type, [self.value, *operands], made, num_outputs=1)
        self.value = self._inserted(node)
        self.value.type = ir.TensorType(ir.DataType.FLOAT)

    def ints(self, *numbers: int) -> ir.Value:
        """An int64 vector."""
        tensor = ir.Tensor(np.asarray(numbers, np.int64))
        value = self._inserted(ir.Node("", "Constant", [], [ir.AttrTensor("value", tensor)]))
        value.type, value.shape = ir.TensorType(ir.DataType.INT64), ir.Shape([len(numbers)])
        return value

    def pad(self, *pads: int) -> None:
        """Zeros around the value."""
        if any(pads):
            self.then("Pad", self.ints(*pads))

    def stack(self, channels: int, columns: int) -> None:
        """(N, C, rows, columns) as (1, C, all rows, columns), in blocks."""
        self.then("Transpose", perm=[1, 0, 2, 3])
        self.then("Reshape", self.ints(1, channels, -1, columns))
        self.then("ReorderInput", domain=_DOMAIN)

    def _inserted(self, node: ir.Node) -> ir.Value:
        self._count += 1
        node.outputs[0].name = f"{self._stem}/{self._count}"
        graph = self._before.graph
        assert graph is not None
        graph.insert_before(self._before, node)
        return node.outputs[0]


def _replace(found: _Correlation) -> None:
    node, windows, old = found.node, found.windows, found.node.outputs[0]
    channels, _, columns = _sizes(found.signal)
    signal = _Chain(node, found.signal, f"{old.name}/signal")
    signal.pad(*[0] * 6, found.signal_gap(), 0)
    signal.stack(channels, columns)
    signal.then("Reshape", signal.ints(channels, 1, -1, columns))
    image = _Chain(node, found.image, f"{old.name}/image")
    image.pad(*found.image_pads())
    image.stack(channels, found.columns)
    image.then(
        "Conv",
        signal.value,
        domain=_DOMAIN,
        group=channels,
        # The kernel of the net goes over its image by dilations, and the signal's by strides.
        strides=list(windows.dilations),
        dilations=list(windows.strides),
        pads=[0, 0, windows.reach[0] - windows.strides[0], 0],
    )
    image.then("ReorderOutput", domain=_DOMAIN, channels=channels, channels_last=0)
    image.then("Reshape", image.ints(channels, 1, *windows.kernel))
    image.value.shape = ir.Shape([channels, 1, *windows.kernel])
    ir.convenience.replace_all_uses_with(old, image.value, replace_graph_outputs=True)
    name, old.name = old.name, f"{old.name}/by-products"
    image.value.name = name
