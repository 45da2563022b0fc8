"""Sums over rows, as of a bias's gradient, as a product with a row of ones.

The runtime's ReduceSum adds one row after the other. Over 4,096 rows of 50 its product, which adds
several at a time, takes half of the time and is off by a third of what the sum is.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.infer import dims_of
from portgrad.autodiff.symbols import credible
from portgrad.graph.constants import constant_value

_FEW, _MANY = 16, 2**18  # rows of a known number: few gain nothing, and ones for many take memory


def by_products(graph: ir.Graph) -> None:
    """Replace such sums of a graph in float32, in place."""
    found = [node for node in graph if _over_rows(node)]
    if not found or not credible(graph):
        return
    ports = {
        size: (port, axis) for port in graph.inputs for axis, size in enumerate(dims_of(port) or [])
    }
    ones: dict[int | str, ir.Value] = {}
    for node in found:
        operand = node.inputs[0]
        rows = (dims_of(operand) or [None])[0] if operand is not None else None
        if isinstance(rows, str) and rows in ports:
            ones[rows] = ones.get(rows) or _of_a_port(graph, *ports[rows])
        elif isinstance(rows, int) and _FEW <= rows <= _MANY:
            ones[rows] = ones.get(rows) or _of_a_number(graph, rows)
        else:
            continue
        product = ir.Node("", "MatMul", [ones[rows], operand], num_outputs=1, name=node.name)
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], [product], node.outputs, product.outputs
        )


def _over_rows(node: ir.Node) -> bool:
    """Whether a node sums a matrix over its rows."""
    if node.op_type != "ReduceSum" or node.domain or len(node.inputs) < 2:
        return False
    operand, axes = node.inputs[0], constant_value(node.inputs[1])
    kept = node.attributes.get("keepdims")
    return (
        operand is not None
        and operand.dtype == ir.DataType.FLOAT
        and len(dims_of(operand) or []) == 2
        and axes is not None
        and axes.tolist() in ([0], [-2])
        and kept is not None
        and kept.as_int() == 0
    )


def _of_a_port(graph: ir.Graph, port: ir.Value, axis: int) -> ir.Value:
    """As many ones as an axis of a port has elements."""
    part = [ir.AttrInt64("start", axis), ir.AttrInt64("end", axis + 1)]
    size = ir.Node("", "Shape", [port], part, num_outputs=1)
    one = ir.AttrTensor("value", ir.tensor(np.ones(1, np.float32)))
    filled = ir.Node("", "ConstantOfShape", size.outputs, [one], num_outputs=1)
    for node, what in ((size, "size"), (filled, "ones")):
        node.outputs[0].name = f"{port.name}/{axis}/{what}-of-rows"
    graph.insert_before(graph[0], [size, filled])
    return filled.outputs[0]


def _of_a_number(graph: ir.Graph, rows: int) -> ir.Value:
    name = f"{rows}-ones-for-rows"
    value = ir.Value(name=name, const_value=ir.tensor(np.ones(rows, np.float32), name=name))
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape([rows])
    graph.register_initializer(value)
    return value
