"""Operators that are differentiated through others: replaced by a body before the sweep.

A body is what is registered with `body(...)`, or what the standard itself defines for an operator
without an entry of its own. Shapes of the runtime's own operators follow from their bodies too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import onnx
import onnx.inliner
import onnx_ir as ir
from onnx import helper

from portgrad.autodiff.binding import Call, has_function_body, schema_of_node
from portgrad.autodiff.emitter import schema_of
from portgrad.autodiff.infer import dims_of, info
from portgrad.autodiff.nesting import captures, held, with_inner
from portgrad.autodiff.registry import Body, Result, Zero, lookup, meaning
from portgrad.autodiff.sweep import MALFORMED, UNSAID, explained, label
from portgrad.autodiff.tensor import Tensor, dtype_of
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import RunFailed, Unsupported
from portgrad.graph import walk
from portgrad.graph.constants import constant_value
from portgrad.graph.taken import value_names

# Elements of a constant that a body can read: axes, sizes and the like, not packed weights, which
# onnx's inference would copy.
MOST_READ = 4096
# What onnx is asked of a body: types and shapes, which must be right by the standard; the same of a
# body that gives operators dtypes which the standard does not have; or nothing: what the emitter
# knows costs a third less.
Inference = Literal["strict", "lenient", "none"]
_INSIDE = re.compile(r"/body\d+_*(/)")


def has_body(node: ir.Node, opsets: dict[str, int]) -> bool:
    """Whether a node is to be replaced by its body before it can be swept."""
    schema = schema_of_node(node, opsets)
    if schema is None or UNSAID in node.meta:
        return False
    entry = lookup(node.domain, node.op_type, schema.since_version)
    return isinstance(entry, Body) or (entry is None and has_function_body(schema))


def expand(
    model: ir.Model,
    nodes: Iterable[ir.Node],
    *,
    body_of: Callable[[ir.Node], Body | None] | None = None,
    explain: Callable[..., Unsupported | RunFailed] = explained,
    inference: Inference = "strict",
) -> None:
    """Replace nodes of a model, in whatever graph they are, by their bodies, in place.

    Args:
        model: the model.
        nodes: the nodes.
        body_of: what to put in a node's place, None for what the standard gives; by default what
            is registered for its derivative.
        explain: the error where a body refuses its node, by that error, the node, and its schema.
        inference: what onnx is asked of a body: see `Inference`.
    """
    taken = _insides(model.graph)
    for count, node in enumerate(nodes):
        try:
            body = _body(node, model, body_of or _of_derivative(model), inference)
        except (*MALFORMED, onnx.shape_inference.InferenceError) as error:
            schema = schema_of_node(node, dict(model.graph.opset_imports))
            raise explain(error, node, schema) from error
        stem = f"{label(node)}/body{count}"
        while stem in taken:
            stem += "_"
        prefix = f"{stem}/"
        graph, inner = node.graph or model.graph, list(body.graph)
        outer, ends = {str(v.name): v for v in _operands(node)}, list(body.graph.outputs)
        for value in (*body.graph.inputs, *body.graph.initializers.values()):
            if value.name in outer:
                ir.convenience.replace_all_uses_with(value, outer[value.name])
        added = [v for name, v in body.graph.initializers.items() if name not in outer]
        _detach(body.graph, inner, prefix)
        for value in added:
            value.name = prefix + str(value.name)
            graph.register_initializer(value)
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], inner, [v for v in node.outputs if v.name], ends
        )


def _insides(graph: ir.Graph) -> set[str]:
    """What names that look like those of values in bodies begin with; a net may have such names."""
    names = value_names(graph)
    return {name[: end.start(1)] for name in names for end in _INSIDE.finditer(name)}


def _operands(node: ir.Node) -> list[ir.Value]:
    """What a node reads, its subgraphs included."""
    read = (*node.inputs, *captures(node))
    return list(dict.fromkeys(value for value in read if value is not None))


def _detach(graph: ir.Graph, nodes: list[ir.Node], prefix: str) -> None:
    graph.outputs.clear()
    graph.initializers.clear()
    graph.remove(nodes)
    for node in with_inner(nodes):
        if UNSAID not in node.meta:
            node.name = None  # reported by its first output, which has the prefix
        for value in (*node.outputs, *held(node)):
            if value.name:
                value.name = prefix + value.name


def _of_derivative(model: ir.Model) -> Callable[[ir.Node], Body | None]:
    opsets = dict(model.graph.opset_imports)

    def body_of(node: ir.Node) -> Body | None:
        schema = schema_of_node(node, opsets)
        version = schema.since_version if schema else 0
        entry = meaning(node.domain, node.op_type) or lookup(node.domain, node.op_type, version)
        return entry if isinstance(entry, Body) else None

    return body_of


def _body(
    node: ir.Node,
    model: ir.Model,
    body_of: Callable[[ir.Node], Body | None],
    inference: Inference = "strict",
) -> ir.Model:
    """The body as a model from the node's operands to its outputs, with inferred shapes."""
    entry = body_of(node)
    if entry is None:
        return _standard(node, model)
    return registered(entry, node, dict(model.graph.opset_imports), inference)


# -- registered bodies -----------------------------------------------------------------------------


def registered(
    entry: Body, node: ir.Node, opsets: Mapping[str, int], inference: Inference = "strict"
) -> ir.Model:
    """A registered body as a model from a node's operands to its outputs, with inferred shapes.

    Operands that are constants are constants in the body too, so that it can read them.

    Raises:
        Unsupported: the body does not cover this use of its operator.
    """
    graph = ir.Graph((), (), nodes=(), name="body", opset_imports=dict(opsets))
    inside = {value: _stand_in(graph, value) for value in _operands(node)}
    twin = ir.Node(
        node.domain,
        node.op_type,
        [None if value is None else inside[value] for value in node.inputs],
        [_attribute(attribute, inside) for attribute in node.attributes.values()],
        num_outputs=len(node.outputs),
        name=label(node),
    )
    schema = schema_of(node.op_type, opsets.get(node.domain, 1), node.domain)
    op = Vocabulary(graph, opsets[""])
    results = entry(Call(op, twin, schema, ()))
    results += [None] * (len(node.outputs) - len(results))
    _give(op, node, twin, results)
    model = ir.Model(graph, ir_version=10)
    if inference == "none":
        return model
    typed = _inferred(ir.to_proto(model), inference)
    _keep_reasons(typed.graph, twin)
    return typed


def _attribute(attribute: ir.Attr, inside: Mapping[ir.Value, ir.Value]) -> ir.Attr:
    """A subgraph with what it captures replaced, any other attribute as it is."""
    if attribute.type != ir.AttributeType.GRAPH:
        return attribute
    graph = attribute.as_graph().clone(allow_outer_scope_values=True)
    for node in with_inner(graph):
        for index, value in enumerate(node.inputs):
            if value is not None and value in inside:
                node.replace_input_with(index, inside[value])
    return ir.AttrGraph(attribute.name, graph)


def _stand_in(graph: ir.Graph, value: ir.Value) -> ir.Value:
    dtype_of(value)  # onnx infers nothing without it
    constant = constant_value(value)
    shape = None if value.shape is None else ir.Shape(value.shape.dims)
    inside = ir.Value(name=value.name, type=value.type, shape=shape)
    if constant is not None:
        inside.shape = ir.Shape(constant.shape)
    if constant is None or constant.size > MOST_READ:
        graph.inputs.append(inside)
    else:
        inside.const_value = ir.Tensor(constant, name=value.name)
        graph.register_initializer(inside)
    return inside


def _give(op: Vocabulary, node: ir.Node, twin: ir.Node, results: list[Result]) -> None:
    """Make the results the outputs of the body; the node itself goes on computing the others."""
    graph, reasons = op.graph, dict[int, str | Zero]()
    for index, (outer, result) in enumerate(zip(node.outputs, results, strict=False)):
        if not outer.name:
            continue
        if isinstance(result, Tensor):
            graph.outputs.append(op.alias(result, op.fresh("result")))
            continue
        value = twin.outputs[index]
        value.name, value.type, value.shape = op.fresh("kept"), outer.type, outer.shape
        graph.outputs.append(value)
        reasons[index] = result if isinstance(result, Zero) else str(result or "")
    if reasons:
        twin.meta[UNSAID] = reasons
        graph.append(twin)


def _keep_reasons(graph: ir.Graph, twin: ir.Node) -> None:
    """Through protobuf a node loses what is noted of it."""
    for node in graph:
        if (node.domain, node.op_type, node.name) == (twin.domain, twin.op_type, twin.name):
            node.meta.update(twin.meta)


# -- bodies that the standard gives ----------------------------------------------------------------


def _standard(node: ir.Node, model: ir.Model) -> ir.Model:
    proto = ir.to_proto(node)
    graph = helper.make_graph(
        [proto],
        "body",
        [_typed(value) for value in _operands(node)],
        [_typed(value) for value in node.outputs if value.name],
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
    try:
        return _inferred(inlined)
    except onnx.shape_inference.InferenceError:
        # What onnx infers of the operator itself can be wrong (the scores of an Attention some of
        # whose sizes are symbolic): then the body alone is believed.
        for value in node.outputs:
            value.shape = None
        for info in inlined.graph.output:
            info.type.tensor_type.ClearField("shape")
        return _inferred(inlined)


def _inferred(body: onnx.ModelProto, inference: Inference = "strict") -> ir.Model:
    """The body with types and shapes. Symbols of its own could mean another size outside."""
    strict = inference == "strict"
    model = ir.from_proto(
        onnx.shape_inference.infer_shapes(
            body, strict_mode=strict, check_type=strict, data_prop=True
        )
    )
    symbols = {dim.value for v in model.graph.inputs for dim in _symbolic(v)}
    for node in model.graph.all_nodes():
        for value in node.outputs:
            if any(dim.value not in symbols for dim in _symbolic(value)):
                value.shape = ir.Shape(
                    dim if isinstance(dim, int) or dim.value in symbols else None
                    for dim in value.shape or ()
                )
    return model


def _symbolic(value: ir.Value) -> list[ir.SymbolicDim]:
    return [dim for dim in value.shape or () if isinstance(dim, ir.SymbolicDim)]


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


def _typed(value: ir.Value) -> onnx.ValueInfoProto:
    dtype_of(value)  # onnx infers nothing without it
    return info(value, dims_of(value))
