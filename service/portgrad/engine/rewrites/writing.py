"""New nodes and constants in a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from portgrad.engine.arrays import Array
from portgrad.graph.attributes import attribute


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
        """A node that is already made; its first output."""
        for value in node.outputs:
            self._count += 1
            value.name, value.type = f"{self._stem}/{self._count}", ir.TensorType(dtype)
        value = node.outputs[0]
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
