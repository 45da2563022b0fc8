"""Scan as opset 8 meant it: over axis 1 of tensors with a batch on axis 0.

It becomes a Scan of opset 9 over the examples, of which each does the Scan of opset 9 over its
steps. Between these two opsets nothing else changed that a net can use, but for types that were
added; what onnx's converter breaks waits for its adapter all the same (see `adapters`).
"""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import helper

from portgrad.graph import walk
from portgrad.graph.opsets.old import refused

BATCHED, _AFTER = 8, 9


def unbatched(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model of opset 8 that has a Scan as one of opset 9; the same object if it has none.

    Raises:
        InvalidNet: `unsupported_opset` for sequences of different lengths.
    """
    if not any(_is_scan(node) for node in walk.all_nodes(model)):
        return model
    new = onnx.ModelProto()
    new.CopyFrom(model)
    fresh = _fresh_names(new)
    for node in reversed(list(walk.all_nodes(new))):  # inner ones first: bodies are copied
        if _is_scan(node):
            node.CopyFrom(_over_examples(node, fresh))
        elif node.op_type == "BatchNormalization" and not node.domain:
            _drop_spatial(node)
    for entry in new.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = _AFTER
    return new


def _is_scan(node: onnx.NodeProto) -> bool:
    return node.op_type == "Scan" and not node.domain


def _over_examples(node: onnx.NodeProto, fresh: Callable[[str], str]) -> onnx.NodeProto:
    lengths, *operands = node.input
    if lengths:
        raise refused(node, BATCHED, "its sequences have lengths of their own, gone since opset 9")
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    body, read = given["body"], given["num_scan_inputs"]
    inside = [fresh(f"{node.output[0]}_example") for _ in operands]
    written = [fresh(f"{node.output[0]}_result") for _ in body.output]
    steps = helper.make_node("Scan", inside, written, body=body, num_scan_inputs=read)
    if "directions" in given:
        ways = helper.make_attribute("scan_input_directions", given["directions"])
        steps.attribute.append(ways)
    states = len(operands) - read
    example = helper.make_graph(
        [steps],
        f"{body.name}_of_an_example",
        [
            _info(name, of, sliced=place >= states)
            for place, (name, of) in enumerate(zip(inside, body.input, strict=True))
        ],
        [_bare(name, of) for name, of in zip(written, body.output, strict=True)],
    )
    return helper.make_node(
        "Scan", operands, node.output, node.name, body=example, num_scan_inputs=len(operands)
    )


def _info(name: str, of: onnx.ValueInfoProto, *, sliced: bool) -> onnx.ValueInfoProto:
    """A body's input as it is for all steps of an example."""
    info = _bare(name, of)
    if of.type.tensor_type.HasField("shape"):
        shape = info.type.tensor_type.shape
        shape.SetInParent()
        if sliced:
            shape.dim.add()  # the steps
        shape.dim.extend(of.type.tensor_type.shape.dim)
    return info


def _bare(name: str, of: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, of.type.tensor_type.elem_type, None)


def _drop_spatial(node: onnx.NodeProto) -> None:
    """Opset 9 has no such attribute; where it is 0, the node waits for its adapter."""
    kept = [a for a in node.attribute if a.name != "spatial" or not a.i]
    node.ClearField("attribute")
    node.attribute.extend(kept)


def _fresh_names(model: onnx.ModelProto) -> Callable[[str], str]:
    taken = {name for node in walk.all_nodes(model) for name in (*node.input, *node.output)}
    taken |= {info.name for graph in walk.all_graphs(model) for info in graph.input}
    taken |= {tensor.name for graph in walk.all_graphs(model) for tensor in graph.initializer}

    def fresh(stem: str) -> str:
        name, count = stem, 0
        while name in taken:
            count += 1
            name = f"{stem}{count}"
        taken.add(name)
        return name

    return fresh
