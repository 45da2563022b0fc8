"""Which kernels the runtime has; nodes in half precision without one: in float32, between casts.

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

from portgrad.autodiff.nesting import with_inner
from portgrad.graph.casts import surround
from portgrad.graph.taken import value_names

_FLOAT, _BFLOAT16 = ir.DataType.FLOAT, ir.DataType.BFLOAT16
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
        for node in with_inner(model.graph)
        if (narrow := _narrow(node)) and _lacks_kernel(node, narrow, opsets.get(node.domain, 1))
    ]
    taken, mark = value_names(model.graph) if found else set(), "/in-float32"
    while any(mark in name for name in taken):
        mark += "_"
    for node in found:
        _widen(node, mark)


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
    return any(v.dtype == _BFLOAT16 for v in narrow) and not has_kernel(node, opset, _BFLOAT16)


def has_kernel(node: ir.Node, opset: int, dtype: ir.DataType) -> bool:
    """Whether the runtime has a kernel for a node as far as its tensors of a dtype go.

    Where the operator's schema is unknown, whether it has one for the dtype at all.
    """
    name, formals = f"tensor({dtype.name.lower()})", list(_formals(node, opset, dtype))
    if any(name not in formal.types for formal in formals):  # the operator has it since later
        return False
    parameters = frozenset(str(formal.type_str) for formal in formals)
    return _takes_all(node.domain, node.op_type, opset, parameters, name)


def _formals(
    node: ir.Node, opset: int, dtype: ir.DataType
) -> Iterator[onnx.defs.OpSchema.FormalParameter]:
    """What the schema says of the operands and outputs of a node that have a dtype."""
    if not onnx.defs.has(node.op_type, opset, node.domain):
        return
    schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    for values, formals in ((node.inputs, schema.inputs), (node.outputs, schema.outputs)):
        for index, value in enumerate(values):
            if value is not None and value.dtype == dtype:
                yield formals[min(index, len(formals) - 1)]


@functools.lru_cache(maxsize=4096)
def _takes_all(
    domain: str, op_type: str, opset: int, parameters: frozenset[str], name: str
) -> bool:
    """Whether a kernel takes a type for type parameters; for any where the schema is unknown."""
    known = onnx.defs.has(op_type, opset, domain)
    version = onnx.defs.get_schema(op_type, opset, domain).since_version if known else 1
    return any(
        _takes(constraints, parameters, name)
        for first, last, constraints in _kernels().get((domain, op_type), ())
        if first <= version <= last
    )


def _takes(constraints: Mapping[str, list[str]], parameters: frozenset[str], name: str) -> bool:
    if not parameters:
        return any(name in types for types in constraints.values())
    return all(name in constraints.get(parameter, ()) for parameter in parameters)


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


def _widen(node: ir.Node, mark: str) -> None:
    """Replace a node by itself in float32, with a cast before and after."""
    stem = f"{next(value.name for value in node.outputs if value.name)}{mark}"
    operands, outputs = (
        {index: _FLOAT for index, v in enumerate(values) if v is not None and v.dtype in _HALF}
        for values in (node.inputs, node.outputs)
    )
    surround(node, stem, operands, outputs, [_wide(a) for a in node.attributes.values()])


def _wide(attribute: ir.Attr) -> ir.Attr:
    named = attribute.name in _DTYPES and attribute.as_int() in map(int, _HALF)
    return ir.AttrInt64(attribute.name, int(_FLOAT)) if named else attribute
