"""Nets written as ONNX text, for tests. Initializers without values are zeros."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from portgrad.graph import walk
from portgrad.graph.names import Names


def text_model(body: str, opset: int = 21) -> ir.Model:
    """A model from `(inputs) => (outputs) <initializers> { nodes }`, shapes inferred."""
    header = f'<ir_version: 10, opset_import: ["" : {opset}, "ai.other" : 1]> net '
    proto = onnx.parser.parse_model(header + body)
    for graph in walk.graphs(proto.graph):
        _fill(graph)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def text_names(body: str, opset: int = 21) -> Names:
    """The names of a net written as text."""
    return Names(text_model(body, opset))


def _fill(graph: onnx.GraphProto) -> None:
    for info in graph.value_info:
        tensor = info.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        shape = [dim.dim_value for dim in tensor.shape.dim]
        graph.initializer.append(numpy_helper.from_array(np.zeros(shape, dtype), info.name))
    del graph.value_info[:]
