"""Whether onnx's inference may follow the numbers in vectors, by which it finds computed shapes.

It keeps one object of some hundred bytes for each element of each vector that it follows: of what
a net computes of `Range(0, 2**28)`, none would be left to keep.
"""

from __future__ import annotations

import onnx

from portgrad.graph import walk

# What onnx computes on vectors, and makes a new one of.
_FOLLOWED = frozenset("Add Cast Concat Gather Mul Size Slice Squeeze Sub Unsqueeze Where".split())
# Elements of all such vectors together: they take about 300 MB then.
_MOST = 2**21


def bearable(typed: onnx.ModelProto) -> bool:
    """Whether the numbers can be followed of a model whose other shapes are known."""
    total = 0
    for graph in walk.graphs(typed.graph):
        lengths = {t.name: t.dims[0] for t in graph.initializer if len(t.dims) == 1}
        for info in (*graph.input, *graph.value_info, *graph.output):
            dims = info.type.tensor_type.shape.dim
            if len(dims) == 1:
                lengths[info.name] = dims[0].dim_value
        for node in graph.node:
            if node.op_type in _FOLLOWED and not node.domain:
                names = (*node.input, *node.output)
                total += max((lengths.get(name, 0) for name in names), default=0)
    return total <= _MOST


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as onnx infers it, numbers followed if that is bearable."""
    typed = onnx.shape_inference.infer_shapes(model)
    if not bearable(typed):
        return typed
    followed: onnx.ModelProto = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return followed
