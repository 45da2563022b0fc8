"""Old nets are brought to the working opset; newer ones keep theirs."""

from __future__ import annotations

import re

import onnx

from portgrad.errors import InvalidNet
from portgrad.graph import vocabulary, walk
from portgrad.graph.check import tidy

# Every operator has a kernel or a function body there; some lose theirs from 22 on.
WORKING_OPSET = 21

_REFUSED_OPERATOR = re.compile(r"(?:No Adapter (?:To|From) Version \S+ for|No Adapter For) (\w+)")


def convert(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model at the working opset or above; the same object if it is there already.

    Raises:
        InvalidNet: `unsupported_opset`, naming the node that has no equivalent there.
    """
    version = vocabulary.opset(model.opset_import)
    if version is None or version >= WORKING_OPSET:
        return model
    try:
        converted = onnx.version_converter.convert_version(model, WORKING_OPSET)
    except Exception as error:
        raise _refused(model, version, str(error)) from None
    return converted


def _refused(model: onnx.ModelProto, version: int, text: str) -> InvalidNet:
    found = _REFUSED_OPERATOR.search(text)
    nodes = [node for node in walk.all_nodes(model) if found and node.op_type == found[1]]
    return InvalidNet(
        f"The net cannot be brought from opset {version} to {WORKING_OPSET}.",
        code="unsupported_opset",
        where=f"node `{walk.called(nodes[0])}` ({nodes[0].op_type})" if nodes else None,
        found=tidy(text),
        remedy=f"Export the net again with opset {WORKING_OPSET}, or any from 13 on.",
    )
