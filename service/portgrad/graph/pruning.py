"""What nobody reads is removed: nodes, optional outputs, initializers. onnx_ir takes far longer."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import onnx
import onnx_ir as ir

from portgrad.graph.inside import subgraphs, with_inner

_Option = onnx.defs.OpSchema.FormalParameterOption


def prune(model: ir.Model) -> None:
    """Remove it from a model without functions, in place. Its inputs and outputs stay."""
    graph = model.graph
    _prune(graph, graph.opset_imports.get(""))
    for name, value in list(graph.initializers.items()):
        if not (value.uses() or value.is_graph_output() or value.is_graph_input()):
            del graph.initializers[name]


def drop_unread(nodes: Iterable[ir.Node | None]) -> None:
    """Remove those of some nodes that nobody reads, in place: where no others can be."""
    for node in nodes:
        if node is None or node.graph is None:
            continue
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            node.graph.remove(node, safe=True)


def _prune(graph: ir.Graph, opset: int | None) -> None:
    unread = []
    for node in reversed(graph):
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            for each in with_inner([node]):
                for index in range(len(each.inputs)):
                    each.replace_input_with(index, None)
            unread.append(node)
            continue
        _drop_empty_end(node)
        if len(node.outputs) > 1 and opset is not None and not node.domain:
            _drop_unread_outputs(node, opset)
        for inner in subgraphs(node):
            _prune(inner, opset)
    graph.remove(unread)


def _drop_empty_end(node: ir.Node) -> None:
    """Operands that are left out need no place at the end."""
    count = len(node.inputs)
    while count and node.inputs[count - 1] is None:
        count -= 1
    if count < len(node.inputs):
        node.resize_inputs(count)


def _drop_unread_outputs(node: ir.Node, opset: int) -> None:
    for value, optional in zip(node.outputs, _optional(node.op_type, opset), strict=False):
        if optional and not (value.uses() or value.is_graph_output()):
            value.name = ""
    count = len(node.outputs)
    while count and not node.outputs[count - 1].name:
        count -= 1
    node.resize_outputs(count)


@functools.lru_cache(maxsize=1024)
def _optional(op_type: str, opset: int) -> tuple[bool, ...]:
    """Which outputs of an operator may be left out; none where their number says something."""
    if op_type == "BatchNormalization" or not onnx.defs.has(op_type, opset):
        return ()
    options = [output.option for output in onnx.defs.get_schema(op_type, opset).outputs]
    if _Option.Variadic in options:
        return ()
    return tuple(option == _Option.Optional for option in options)
