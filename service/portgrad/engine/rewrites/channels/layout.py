"""The runtime's blocks of channels, and what stands in a graph of images.

The runtime lays an image (N, C, rows, columns) out as (N, C / B, rows, columns, B) in memory, and
still tells its shape as (N, C, rows, columns), C rounded up to whole blocks.
"""

from __future__ import annotations

import functools
import platform

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

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
