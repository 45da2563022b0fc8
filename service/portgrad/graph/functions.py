"""Model-local functions are inlined: what comes after sees operators only."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from portgrad.errors import InvalidNet
from portgrad.graph import vocabulary, walk
from portgrad.graph.check import read

_GRAPHS = {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}


def check(model: onnx.ModelProto) -> None:
    """Refuse what cannot be inlined. Opsets of bodies become the model's where that is the same.

    That none calls itself is known by then: see `size`.

    Raises:
        InvalidNet: `unsupported_opset`, or `invalid_function`.
    """
    for function in model.functions:
        _refuse_graphs(function)
        _align_opset(function, model)


def inline(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without functions. Names of the graph stay; those of bodies are made unique.

    Raises:
        InvalidNet: `invalid_function`.
    """
    if not model.functions:
        return model
    net = read(model)
    try:
        InlinePass()(net)
    except Exception as error:
        raise InvalidNet(
            "A model-local function of the net cannot be inlined.",
            code="invalid_function",
            found=str(error.__cause__ or error),
            remedy="Export the net without functions, or inline them with `onnx.inliner`.",
        ) from None
    net.functions.clear()
    return ir.to_proto(net)


def _refuse_graphs(function: onnx.FunctionProto) -> None:
    """No subgraph is handed to a function, which could have it in many places."""
    for node in walk.nodes(function):
        for attribute in node.attribute:
            if attribute.ref_attr_name and attribute.type in _GRAPHS:
                raise InvalidNet(
                    f"The function `{function.name}` takes a subgraph as its attribute.",
                    code="invalid_function",
                    where=f"node `{walk.called(node)}` ({node.op_type})",
                    remedy="Export the net without functions, or inline them first.",
                )


def _align_opset(function: onnx.FunctionProto, model: onnx.ModelProto) -> None:
    """Let a function's body count as written in the model's opset where that changes nothing."""
    for entry in function.opset_import:
        version = vocabulary.opset(model.opset_import, entry.domain)
        if version is None or version == entry.version:
            continue
        for node in walk.nodes(function):
            if node.domain == entry.domain and not _same(node, entry.version, version):
                raise _other_opset(function, node, entry.version, version)
        entry.version = version


def _same(node: onnx.NodeProto, one: int, other: int) -> bool:
    """Whether an operator means the same in two versions of its domain."""
    found = [
        onnx.defs.get_schema(node.op_type, version, node.domain).since_version
        for version in (one, other)
        if onnx.defs.has(node.op_type, version, node.domain)
    ]
    return len(found) != 1 and len(set(found)) <= 1


def _other_opset(
    function: onnx.FunctionProto, node: onnx.NodeProto, version: int, wanted: int
) -> InvalidNet:
    return InvalidNet(
        f"The function `{function.name}` is written in another opset than the net.",
        code="unsupported_opset",
        where=f"node `{walk.called(node)}` ({node.op_type}) of the function `{function.name}`",
        expected=f"opset {wanted}, as the net imports",
        found=f"opset {version}",
        remedy="Export the net with one opset for all, or inline its functions first.",
    )
