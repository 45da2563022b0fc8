"""New nodes in a graph, what stands in one, and the runtime's blocks of channels.

The runtime lays an image (N, C, rows, columns) out as (N, C / B, rows, columns, B) in memory, and
still tells its shape as (N, C, rows, columns), C rounded up to whole blocks.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from portgrad.engine.arrays import Array
from portgrad.graph.attributes import attribute

DOMAIN = "com.microsoft.nchwc"
# Where the runtime has kernels for its blocks whatever the instruction set.
MACHINES = {"x86_64", "AMD64"}


def has_blocks() -> bool:
    """Whether the runtime has blocks of channels on this machine."""
    return platform.machine() in MACHINES


@functools.cache
def block_size() -> int:
    """How many channels are in a block: 16 or 8, by the machine's instructions."""
    x, y = (ir.Value(name=n, type=ir.TensorType(ir.DataType.FLOAT)) for n in "xy")
    x.shape = ir.Shape([1, 4, 1, 1])
    node = ir.Node(DOMAIN, "ReorderInput", [x], outputs=[y])
    graph = ir.Graph([x], [y], nodes=[node], opset_imports={"": 21, DOMAIN: 1})
    model = ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString()
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.zeros((1, 4, 1, 1), np.float32)})
    return int(found.shape[1])


def images(value: ir.Value | None) -> list[int]:
    """Channels, rows and columns; fewer where some are not known."""
    dims = () if value is None or value.shape is None else value.shape.dims
    return [dim for dim in dims[1:] if isinstance(dim, int)] if len(dims) == 4 else []


def chain(start: ir.Value | ir.Node | None, *op_types: str, at: int = 0) -> ir.Node | None:
    """The last of a chain of nodes behind a value, or behind an operand of a node."""
    value = start.inputs[at] if isinstance(start, ir.Node) else start
    node: ir.Node | None = None
    for op_type in op_types:
        node = None if value is None else value.producer()
        if node is None or node.op_type != op_type or node.domain:
            return None
        value = node.inputs[0]
    return node


class Writer:
    """Puts nodes into a graph.

    Args:
        where: a node in front of which they go, or the graph whose last ones they become.
        stem: what the names of new values begin with.
    """

    def __init__(self, where: ir.Node | ir.Graph, stem: str) -> None:
        self._where, self._stem, self._count = where, stem, 0

    def node(
        self,
        op_type: str,
        *operands: ir.Value | None,
        domain: str = "",
        dtype: ir.DataType = ir.DataType.FLOAT,
        shape: Sequence[int] | ir.Shape | None = None,
        **attributes: object,
    ) -> ir.Value:
        """One more node; its output."""
        made = [attribute(name, value) for name, value in attributes.items()]
        return self.put(ir.Node(domain, op_type, operands, made, num_outputs=1), dtype, shape)

    def put(
        self, node: ir.Node, dtype: ir.DataType, shape: Sequence[int] | ir.Shape | None = None
    ) -> ir.Value:
        """A node that is already made; its output."""
        self._count += 1
        value = node.outputs[0]
        value.name, value.type = f"{self._stem}/{self._count}", ir.TensorType(dtype)
        if shape is not None:
            value.shape = ir.Shape(shape)
        if isinstance(self._where, ir.Graph):
            self._where.append(node)
        else:
            graph = self._where.graph
            assert graph is not None
            graph.insert_before(self._where, node)
        return value

    def ints(self, *numbers: int) -> ir.Value:
        """An int64 vector."""
        return self.constant(np.asarray(numbers, np.int64))

    def number(self, number: float) -> ir.Value:
        """A float32 of rank 0."""
        return self.constant(np.asarray(number, np.float32))

    def reshape(self, value: ir.Value, *sizes: int) -> ir.Value:
        """Its elements in another shape."""
        return self.node("Reshape", value, self.ints(*sizes), shape=sizes)

    def constant(self, array: Array) -> ir.Value:
        """A tensor that is known."""
        tensor = ir.Tensor(array)
        node = ir.Node("", "Constant", [], [ir.AttrTensor("value", tensor)], num_outputs=1)
        return self.put(node, tensor.dtype, array.shape)
