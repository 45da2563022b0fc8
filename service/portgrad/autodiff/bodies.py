"""Operators without a rule that the standard defines by a function body: replaced by the body."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
import onnx.inliner
import onnx_ir as ir
from onnx import helper

from portgrad.autodiff.binding import has_function_body, schema_of_node
from portgrad.autodiff.registry import lookup
from portgrad.autodiff.sweep import explained
from portgrad.errors import Unsupported
from portgrad.graph import walk


def has_body(node: ir.Node, opsets: dict[str, int]) -> bool:
    """Whether a node has no rule of its own but a function body in the standard."""
    schema = schema_of_node(node, opsets)
    if schema is None or lookup(node.domain, node.op_type, schema.since_version) is not None:
        return False
    return has_function_body(schema)


def expand(model: ir.Model, nodes: Iterable[ir.Node]) -> None:
    """Replace nodes of a model, in whatever graph they are, by their function bodies, in place."""
    for count, node in enumerate(nodes):
        try:
            body = _body(node, model)
        except Unsupported as error:
            raise explained(error, node, None) from error
        prefix = f"{node.name or node.outputs[0].name}/body{count}/"
        inner = list(body.graph)
        given = dict(zip((v.name for v in body.graph.inputs), _operands(node), strict=True))
        for value in body.graph.inputs:
            ir.convenience.replace_all_uses_with(value, given[value.name])
        for value in body.graph.initializers.values():
            value.name = prefix + str(value.name)
        results = list(body.graph.outputs)
        _detach(body.graph, inner, prefix)
        ir.convenience.replace_nodes_and_values(
            node.graph or model.graph,
            node,
            [node],
            inner,
            [v for v in node.outputs if v.name],
            results,
        )


def _operands(node: ir.Node) -> list[ir.Value]:
    return list(dict.fromkeys(value for value in node.inputs if value is not None))


def _detach(graph: ir.Graph, nodes: list[ir.Node], prefix: str) -> None:
    graph.outputs.clear()
    graph.remove(nodes)
    for node in nodes:
        node.name = None  # reported by its first output, which has the prefix
        for value in node.outputs:
            if value.name:
                value.name = prefix + value.name


def _body(node: ir.Node, model: ir.Model) -> ir.Model:
    """The body as a model from the node's operands to its outputs, with inferred shapes."""
    proto = ir.to_proto(node)
    graph = helper.make_graph(
        [proto],
        "body",
        [_info(value) for value in _operands(node)],
        [_info(value) for value in node.outputs if value.name],
        # The inliner looks up the type of absent operands too, whose name is empty.
        value_info=[onnx.ValueInfoProto(name="", type=onnx.TypeProto())],
    )
    imports = [helper.make_opsetid(d, v) for d, v in model.graph.opset_imports.items()]
    whole = helper.make_model(graph, opset_imports=imports, ir_version=model.ir_version)
    inlined = onnx.inliner.inline_selected_functions(
        whole, [(node.domain, node.op_type)], inline_schema_functions=True
    )
    if any((n.domain, n.op_type) == (node.domain, node.op_type) for n in inlined.graph.node):
        raise Unsupported(
            "its function body depends on sizes that are not known before the net runs",
            remedy="Give the ports of the net fixed sizes where they do not vary.",
        )
    _carry_constants(inlined.graph)
    return ir.from_proto(
        onnx.shape_inference.infer_shapes(inlined, strict_mode=True, data_prop=True)
    )


def _carry_constants(graph: onnx.GraphProto) -> None:
    """Copy constants into the subgraphs that read them, in place.

    onnx's inference does not see the value of an outer constant there, such as axes.
    """
    constants = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
    for count, inner in enumerate(g for node in graph.node for g in walk.subgraphs(node)):
        read = {name for node in inner.node for name in node.input}
        for name in sorted(read.intersection(constants)):
            copy = onnx.NodeProto()
            copy.CopyFrom(constants[name])
            copy.output[0] = f"{name}/{count}"
            for node in inner.node:
                node.input[:] = [copy.output[0] if given == name else given for given in node.input]
            inner.node.insert(0, copy)


def _info(value: ir.Value) -> onnx.ValueInfoProto:
    dtype = value.dtype
    if dtype is None:
        raise Unsupported(f"the type of {value.name!r} is not known before the net runs")
    shape = None if value.shape is None else [_dim(dim) for dim in value.shape]
    return helper.make_tensor_value_info(str(value.name), int(dtype), shape)


def _dim(dim: int | ir.SymbolicDim) -> int | str | None:
    return dim if isinstance(dim, int) else dim.value
