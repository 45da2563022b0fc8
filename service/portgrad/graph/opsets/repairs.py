"""Mends nodes that onnx's converter leaves slightly wrong; in the working opset, in place."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from portgrad.graph import walk
from portgrad.graph.known import Known

_CROP = b"tf_crop_and_resize"


def repair(model: onnx.ModelProto, version: int, known: Known) -> None:
    """Mend the nodes of a model that was converted from `version`."""
    for graph in walk.graphs(model.graph):
        for node in graph.node:
            if node.op_type == "Resize" and 11 <= version <= 12:
                _drop_empty_operands(node)
            if node.op_type == "Pad" and version <= 10:
                _drop_attribute(node, "value")
            if node.op_type in {"Pad", "Clip"} and version <= 10:
                _retype_bounds(graph, node, known)


def _drop_empty_operands(node: onnx.NodeProto) -> None:
    """Opsets 11 and 12 wanted an empty tensor where nothing was meant: since 13 that is wrong."""
    if len(node.input) > 3 and node.input[3]:
        node.input[2] = ""
    modes = [a.s for a in node.attribute if a.name == "coordinate_transformation_mode"]
    if modes != [_CROP]:
        node.input[1] = ""


def _drop_attribute(node: onnx.NodeProto, name: str) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    node.ClearField("attribute")
    node.attribute.extend(kept)


def _retype_bounds(graph: onnx.GraphProto, node: onnx.NodeProto, known: Known) -> None:
    """The converter makes the numbers in attributes float32 whatever the data are."""
    dtype = known.dtype(node.input[0])
    if dtype in {None, onnx.TensorProto.FLOAT}:
        return
    made = {name for name in node.input[1:] if known.dtype(name) is None}
    for constant in graph.node:
        if constant.op_type == "Constant" and made & set(constant.output):
            tensor = constant.attribute[0].t
            if tensor.data_type == onnx.TensorProto.FLOAT:
                array = numpy_helper.to_array(tensor)
                wanted = onnx.helper.tensor_dtype_to_np_dtype(dtype)
                tensor.CopyFrom(numpy_helper.from_array(array.astype(wanted)))
