"""Types and shapes of every value, inferred anew: what the file says of them may be stale."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from portgrad.graph import walk
from portgrad.graph.check import guarded


def forget(model: onnx.ModelProto) -> None:
    """Drop what a model says of its inner values, in place.

    It stays for the outputs of other domains' operators, about which onnx can infer nothing.
    """
    for graph in walk.all_graphs(model):
        foreign = {name for node in graph.node if node.domain for name in node.output}
        kept = [info for info in graph.value_info if info.name in foreign]
        if len(kept) < len(graph.value_info):
            graph.ClearField("value_info")
            graph.value_info.extend(kept)


def free_negative_dimensions(model: onnx.ModelProto) -> None:
    """Sizes below 0 become unknown, in place: exporters mean "any", and onnx aborts on them."""
    for graph in walk.all_graphs(model):
        for info in (*graph.input, *graph.output, *graph.value_info):
            for dim in _dims(info.type):
                if dim.dim_value < 0:
                    dim.ClearField("dim_value")


def _dims(kind: onnx.TypeProto) -> Iterable[onnx.TensorShapeProto.Dimension]:
    which = kind.WhichOneof("value")
    if which in {"tensor_type", "sparse_tensor_type"}:
        dims: Iterable[onnx.TensorShapeProto.Dimension] = getattr(kind, which).shape.dim
        return dims
    if which in {"sequence_type", "optional_type"}:
        return _dims(getattr(kind, which).elem_type)
    return _dims(kind.map_type.value_type) if which == "map_type" else ()


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with types and shapes of its values, symbolic dimensions kept.

    Raises:
        InvalidNet: `shape_inference_failed`, naming the node where onnx does.
    """
    forget(model)
    _name_sizes(model.graph)
    _spell_out_axes(model)
    return guarded(
        lambda: onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=True
        ),
        model,
        code="shape_inference_failed",
        what="The types or shapes of the net contradict each other.",
        remedy="Check the named node's operands against its operator, and export the net again.",
    )


def _name_sizes(graph: onnx.GraphProto) -> None:
    """A symbol for each unknown size of a port: inference invents ones that lead back to no port.

    Each is a symbol of its own, so any size fits as before; what has the size of a port has its
    symbol from then on, such as the leading one of a batch.
    """
    infos = (*graph.input, *graph.output, *graph.value_info)
    taken = {dim.dim_param for info in infos for dim in _dims(info.type)}
    for port in graph.input:
        for axis, dim in enumerate(_dims(port.type)):
            if not (dim.dim_param or dim.HasField("dim_value")):
                name = f"{port.name}_{axis}"
                while name in taken:
                    name += "_"
                taken.add(name)
                dim.dim_param = name


def _spell_out_axes(model: onnx.ModelProto) -> None:
    """onnx's inference fails on MeanVarianceNormalization's own default, so it is written down."""
    for node in walk.all_nodes(model):
        if node.op_type == "MeanVarianceNormalization" and not (node.domain or node.attribute):
            node.attribute.append(onnx.helper.make_attribute("axes", [0, 2, 3]))
