"""Maps, which scikit-learn's converters end nets with: bypassed where tensors hold the same.

A ZipMap turns a tensor of scores into a list of maps from classes to scores, one for each example.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper

from portgrad.errors import InvalidNet
from portgrad.graph import walk

_DOMAIN = "ai.onnx.ml"
_OF_MAPS = frozenset({"CastMap", "DictVectorizer", "ZipMap"})
_MOST_CLASSES = 20


def bypass(model: onnx.ModelProto) -> list[str]:
    """Let the tensor before each ZipMap be the output port in its place, under the port's name.

    Returns:
        A sentence for each such port, which tells what it is now.

    Raises:
        InvalidNet: `unsupported_type` if maps are left.
    """
    ports = {port.name: port for port in model.graph.output}
    read = {name for node in walk.all_nodes(model) for name in node.input}
    ends = [
        node
        for node in model.graph.node
        if _is_of_maps(node, {"ZipMap"}) and set(node.output) & (ports.keys() - read)
    ]
    sentences = [_sentence(node) for node in ends]
    for node in ends:
        ports[node.output[0]].type.CopyFrom(
            helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, None)
        )
        node.CopyFrom(helper.make_node("Identity", node.input, node.output, node.name))
    _refuse_the_rest(model)
    return sentences


def _refuse_the_rest(model: onnx.ModelProto) -> None:
    for node in walk.all_nodes(model):
        if _is_of_maps(node, _OF_MAPS):
            raise _refused(f"node `{walk.called(node)}` ({node.op_type})")
    for graph in walk.all_graphs(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if any(kind.HasField("map_type") for kind in _nested(value.type)):
                raise _refused(f"`{value.name}`")


def _is_of_maps(node: onnx.NodeProto, op_types: frozenset[str] | set[str]) -> bool:
    return node.domain == _DOMAIN and node.op_type in op_types


def _nested(kind: onnx.TypeProto) -> Iterator[onnx.TypeProto]:
    """A type and the types of its elements, to any depth."""
    yield kind
    for which in ("sequence_type", "optional_type"):
        if kind.HasField(which):
            yield from _nested(getattr(kind, which).elem_type)


def _sentence(node: onnx.NodeProto) -> str:
    labels = [str(label) for label in _classes(node)]
    more = f" … ({len(labels)} in all)" if len(labels) > _MOST_CLASSES else ""
    return (
        f"The output `{node.output[0]}` was a list of maps, one for each example. Here it is the "
        "tensor that they were made of, with one column for each class: "
        f"{', '.join(labels[:_MOST_CLASSES])}{more}."
    )


def _classes(node: onnx.NodeProto) -> list[int | str]:
    for attribute in node.attribute:
        if attribute.name == "classlabels_int64s" and attribute.ints:
            return list(attribute.ints)
        if attribute.name == "classlabels_strings" and attribute.strings:
            return [label.decode("utf-8", "replace") for label in attribute.strings]
    return []


def _refused(where: str) -> InvalidNet:
    return InvalidNet(
        "The net holds maps, which cannot be served.",
        code="unsupported_type",
        where=where,
        expected="tensors and sequences of tensors; a ZipMap may stand before an output port",
        found="a map",
        remedy="Cut the net so that it begins and ends with tensors. For a net of scikit-learn "
        "give skl2onnx the option `zipmap=False` and tensors as inputs.",
    )
