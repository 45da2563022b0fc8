"""Nodes and constants that the rewritten net needs to follow the batch size at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from portgrad.graph.batch.states import N, Refused, Size, sized
from portgrad.graph.constants import hold


class Follower:
    """Writes into a graph whose batched ports have the batch on axis 0.

    Args:
        graph: the graph that is rewritten; nothing but what is asked for changes.
        port: one of the batched input ports.

    Attributes:
        expanded: the batch axis of every value that `expand` made.
    """

    def __init__(self, graph: ir.Graph, port: ir.Value) -> None:
        self.graph = graph
        self.expanded: dict[ir.Value, int] = {}
        self._port = port
        self._prefix = free_prefix(graph)
        self._count = 0
        self._size: ir.Value | None = None

    def constant(self, array: np.ndarray[Any, Any]) -> ir.Value:
        """An integer constant."""
        return hold(self.graph, self._fresh("constant"), array)

    def vector(self, entries: Sequence[int | Size | None], before: ir.Node) -> ir.Value:
        """A vector of integers in which N is the batch size of the run."""
        if any(entry is None for entry in entries):
            raise Refused("a size is not known")
        if not sized(entries):
            return self.constant(np.array(entries, np.int64))
        if N not in entries:
            raise Refused("a size is a multiple of the batch's")
        at = list(entries).index(N)
        around = [entries[:at], entries[at + 1 :]]
        head, tail = (self.vector(part, before) if part else None for part in around)
        parts = [part for part in (head, self._batch_size(), tail) if part is not None]
        return self._emit("Concat", parts, ir.Shape([len(entries)]), before, axis=0)

    def expand(self, value: ir.Value, axis: int, before: ir.Node) -> ir.Value:
        """A shared value with size 1 at `axis`, repeated for each example."""
        if value.shape is None:
            raise Refused("a rank is not known")
        ones: list[int | Size] = [1] * len(value.shape)
        ones[axis] = N
        target = self.vector(ones, before)
        expanded = self._emit("Expand", [value, target], value.shape.copy(), before)
        expanded.type = value.type
        self.expanded[expanded] = axis
        return expanded

    def _batch_size(self) -> ir.Value:
        if self._size is None:
            first = self.graph[0]
            self._size = self._emit("Shape", [self._port], ir.Shape([1]), first, start=0, end=1)
        return self._size

    def _emit(
        self,
        op_type: str,
        inputs: list[ir.Value],
        shape: ir.Shape,
        before: ir.Node,
        **attributes: int,
    ) -> ir.Value:
        name = self._fresh(op_type)
        node = ir.node(op_type, inputs, attributes, name=name)
        [value] = node.outputs
        value.name, value.type, value.shape = name, ir.TensorType(ir.DataType.INT64), shape
        self.graph.insert_before(before, node)
        return value

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}_{stem}"


def free_prefix(graph: ir.Graph) -> str:
    """A prefix that no name of the graph begins with."""
    names = {str(name) for name in graph.initializers}
    names |= {str(value.name) for value in graph.inputs}
    for node in graph.all_nodes():
        names |= {str(node.name), *(str(value.name) for value in node.outputs)}
    prefix, order = "batch/", 0
    while any(name.startswith(prefix) for name in names):
        order += 1
        prefix = f"batch{order}/"
    return prefix
