"""Old nets are brought to the working opset; newer ones keep theirs.

onnx's converter does most of it. What it breaks is adapted, repaired or refused: never silently
wrong. It also forgets the types of ports that are no tensors, and names of nodes.
"""

from __future__ import annotations

import re

import onnx

from portgrad.errors import InvalidNet, out_of_memory
from portgrad.graph import inference, vocabulary, walk
from portgrad.graph.check import tidy
from portgrad.graph.known import Known
from portgrad.graph.memory import ran_out
from portgrad.graph.opsets import WORKING_OPSET, adapters, old, repairs, scans, unchanged

_REFUSED_ATTRIBUTE = re.compile(r"Attribute (\w+) must")


def convert(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model at the working opset or above; the same object if it is there already.

    Raises:
        InvalidNet: `unsupported_opset`, naming the node that has no equivalent there.
        RunFailed: `out_of_memory`.
    """
    version = vocabulary.opset(model.opset_import)
    if version is None or version >= WORKING_OPSET:
        return model
    if unchanged.all_unchanged(model, version):
        return _restamped(model)
    _refuse_hopeless(model, version)
    model = scans.unbatched(model) if version == scans.BATCHED else model
    try:
        typed = inference.infer(model)
        known = Known(typed)
        adapters.shelter(typed, version)
        converted = onnx.version_converter.convert_version(typed, WORKING_OPSET)
    except Exception as error:
        if ran_out(error):
            raise out_of_memory(found=tidy(str(error))) from None
        raise _refused(model, version, str(error)) from None
    known.reserve(converted)
    _restore(converted, model)
    adapters.adapt(converted, version, known)
    repairs.repair(converted, version, known)
    return converted


def _restamped(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, as one of the working opset."""
    for entry in model.opset_import:
        if entry.domain == vocabulary.DEFAULT:
            entry.version = WORKING_OPSET
    return model


def _refuse_hopeless(model: onnx.ModelProto, version: int) -> None:
    read = {name for node in walk.all_nodes(model) for name in node.input}
    read.update(output.name for output in model.graph.output)
    for node in walk.all_nodes(model):
        if node.domain and any(True for _ in walk.subgraphs(node)):
            raise old.refused(node, version, "the converter leaves its subgraphs as they are")
        masked = node.op_type == "Dropout" and version < 12 and not node.domain
        if masked and any(name in read for name in node.output[1:]):
            raise old.refused(node, version, "its mask means something else since opset 12")


def _restore(converted: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Put back what the converter does not carry over."""
    for ours, theirs in ((model.graph.input, "input"), (model.graph.output, "output")):
        converted.graph.ClearField(theirs)
        getattr(converted.graph, theirs).extend(ours)
    kept = {node.name for node in walk.all_nodes(converted)}
    names = {node.output[0]: node.name for node in walk.all_nodes(model) if node.name not in kept}
    for node in walk.all_nodes(converted):
        if not node.name:
            node.name = names.get(node.output[0], "")
    held = {tensor.name for tensor in converted.graph.initializer}
    lost = [tensor for tensor in model.graph.initializer if tensor.name not in held]
    converted.graph.initializer.extend(lost)


def _refused(model: onnx.ModelProto, version: int, text: str) -> InvalidNet:
    node = _blamed(model, text)
    return InvalidNet(
        f"The net cannot be brought from opset {version} to {WORKING_OPSET}.",
        code="unsupported_opset",
        where=f"node `{walk.called(node)}` ({node.op_type})" if node else None,
        found=tidy(text),
        remedy="Export the net again with opset 13 or newer.",
    )


def _blamed(model: onnx.ModelProto, text: str) -> onnx.NodeProto | None:
    """The first node that a message can mean: those of the converter name no node."""
    words = set(re.findall(r"\w+", text))
    attribute = _REFUSED_ATTRIBUTE.search(text)
    for node in walk.all_nodes(model):
        has = attribute is not None and any(a.name == attribute[1] for a in node.attribute)
        if has or node.op_type in words:
            return node
    return None
