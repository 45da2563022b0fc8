"""Nodes in half precision that the runtime has no kernel for: in float32, between casts.

The runtime itself does so for float16, not for bfloat16, of which its CPU provider has few
kernels. A few kernels are registered for both and refuse when they run. Every value still is
rounded to the dtype that the net gives it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import onnx
import onnx_ir as ir
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from portgrad.graph.taken import value_names

_FLOAT, _BFLOAT16 = ir.DataType.FLOAT, ir.DataType.BFLOAT16
_NAME = "tensor(bfloat16)"
_HALF = (ir.DataType.FLOAT16, _BFLOAT16)
# Kernels that refuse, seen in 1.32: sums and products of halves at equal places.
_REFUSING = {"ScatterElements", "ScatterND"}
# Attributes that name the dtype a node computes or answers in.
_DTYPES = ("dtype", "output_datatype", "softmax_precision", "stash_type")


def widen(model: ir.Model) -> None:
    """Run such nodes of a model in float32, in place."""
    opsets = model.graph.opset_imports
    found = [
        node
        for node in model.graph.all_nodes()
        if (narrow := _narrow(node)) and _lacks_kernel(node, narrow, opsets.get(node.domain, 1))
    ]
    taken, mark = value_names(model.graph) if found else set(), "/in-float32"
    while any(mark in name for name in taken):
        mark += "_"
    for node in found:
        _widen(node, _narrow(node), mark)


def _narrow(node: ir.Node) -> list[ir.Value]:
    """The half-precision tensors at a node; none where it has subgraphs or other values."""
    values = [value for value in (*node.inputs, *node.outputs) if value is not None]
    halves = [value for value in values if value.dtype in _HALF]
    if not halves or any(a.type == ir.AttributeType.GRAPH for a in node.attributes.values()):
        return []
    tensors = all(value.type is None or isinstance(value.type, ir.TensorType) for value in values)
    return halves if tensors else []


def _lacks_kernel(node: ir.Node, narrow: list[ir.Value], opset: int) -> bool:
    if node.op_type in _REFUSING and "reduction" in node.attributes:
        return node.attributes["reduction"].as_string() != "none"
    if all(value.dtype != _BFLOAT16 for value in narrow):
        return False
    formals = list(_formals(node, opset))
    if any(_NAME not in formal.types for formal in formals):  # the operator has it since later
        return True
    parameters = frozenset(str(formal.type_str) for formal in formals)
    return not _has_kernel(node.domain, node.op_type, opset, parameters)


def _formals(node: ir.Node, opset: int) -> Iterator[onnx.defs.OpSchema.FormalParameter]:
    """What the schema says of the operands and outputs of a node that are bfloat16."""
    if not onnx.defs.has(node.op_type, opset, node.domain):
        return
    schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    for values, formals in ((node.inputs, schema.inputs), (node.outputs, schema.outputs)):
        for index, value in enumerate(values):
            if value is not None and value.dtype == _BFLOAT16:
                yield formals[min(index, len(formals) - 1)]


@functools.lru_cache(maxsize=1024)
def _has_kernel(domain: str, op_type: str, opset: int, parameters: frozenset[str]) -> bool:
    """Whether a kernel takes bfloat16 for type parameters; for any where the schema is unknown."""
    known = onnx.defs.has(op_type, opset, domain)
    version = onnx.defs.get_schema(op_type, opset, domain).since_version if known else 1
    return any(
        _takes(constraints, parameters)
        for first, last, constraints in _kernels().get((domain, op_type), ())
        if first <= version <= last
    )


def _takes(constraints: Mapping[str, list[str]], parameters: frozenset[str]) -> bool:
    if not parameters:
        return any(_NAME in types for types in constraints.values())
    return all(_NAME in constraints.get(name, ()) for name in parameters)


@functools.cache
def _kernels() -> dict[tuple[str, str], list[tuple[int, int, Mapping[str, list[str]]]]]:
    """The CPU kernels of each operator: first and last version, and types by parameter."""
    found: dict[tuple[str, str], list[tuple[int, int, Mapping[str, list[str]]]]] = {}
    for kernel in runtime.get_all_opkernel_def():
        if kernel.provider == "CPUExecutionProvider":
            first, last = kernel.version_range
            entry = (first, last, dict(kernel.type_constraints))
            found.setdefault((kernel.domain, kernel.op_name), []).append(entry)
    return found


def _widen(node: ir.Node, narrow: list[ir.Value], mark: str) -> None:
    """Replace a node by itself in float32, with a cast before and after."""
    stem = f"{next(value.name for value in node.outputs if value.name)}{mark}"
    before = {
        value: _cast(value, _FLOAT, f"{stem}/{count}")
        for count, value in enumerate(dict.fromkeys(v for v in node.inputs if v in narrow))
    }
    operands = [before[v].outputs[0] if v in before else v for v in node.inputs]
    attributes = [_wide(attribute) for attribute in node.attributes.values()]
    wide = ir.Node(
        node.domain, node.op_type, operands, attributes, num_outputs=len(node.outputs),
        name=node.name,
    )  # fmt: skip
    after, results = [], []
    for index, (old, new) in enumerate(zip(node.outputs, wide.outputs, strict=True)):
        new.name, new.type, new.shape = old.name, old.type, old.shape
        results.append(new)
        if old.name and old.dtype in _HALF:
            new.name, new.type = f"{stem}:{index}", ir.TensorType(_FLOAT)
            after.append(_cast(new, old.dtype, old.name))
            results[-1] = after[-1].outputs[0]
    graph = node.graph
    assert graph is not None, "a node that was found in a graph lies in one"
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], [*before.values(), wide, *after], node.outputs, results
    )


def _cast(value: ir.Value, dtype: ir.DataType, name: str) -> ir.Node:
    cast = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(dtype))], num_outputs=1)
    cast.outputs[0].name = name
    cast.outputs[0].type, cast.outputs[0].shape = ir.TensorType(dtype), value.shape
    return cast


def _wide(attribute: ir.Attr) -> ir.Attr:
    named = attribute.name in _DTYPES and attribute.as_int() in map(int, _HALF)
    return ir.AttrInt64(attribute.name, int(_FLOAT)) if named else attribute
