"""Every operator that may compute in float64 has a kernel for it here, or is said in others."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir

from portgrad.autodiff import rules
from portgrad.autodiff.binding import has_function_body
from portgrad.autodiff.registry import Body, Refused, entries, in_double, lookup
from portgrad.engine.rewrites.kernels import has_kernel
from portgrad.graph.opsets import WORKING_OPSET

assert rules  # which fill the registry when they are imported

_DOUBLE = "tensor(double)"
# Operators without either, and why that is all the same.
EXCEPT = {
    "ConcatFromSequence": "its kernel takes tensors of every type",
    "Constant": "no kernel is needed",
}


def _node(schema: onnx.defs.OpSchema) -> ir.Node:
    """A call with every operand and output in float64 that may be."""
    sides = []
    for formals in (schema.inputs, schema.outputs):
        kinds = [_DOUBLE in formal.types for formal in formals]
        sides.append([ir.Value(type=ir.TensorType(_dtype(kind))) for kind in kinds])
    inputs, outputs = sides
    return ir.Node(schema.domain, schema.name, inputs, outputs=outputs)


def _dtype(double: bool) -> ir.DataType:
    return ir.DataType.DOUBLE if double else ir.DataType.INT64


def _operators() -> Iterator[tuple[str, onnx.defs.OpSchema]]:
    """Operators that may compute in float64, in each version that a net here may have."""
    for (domain, name), found in entries().items():
        newest = onnx.defs.onnx_opset_version() if not domain else 1_000
        for version in {newest, min(WORKING_OPSET, newest)}:
            if isinstance(found[0], Refused) or not onnx.defs.has(name, version, domain):
                continue
            schema = onnx.defs.get_schema(name, version, domain)
            if not schema.deprecated and any(_DOUBLE in f.types for f in schema.outputs):
                yield name, schema


def test_every_operator_is_computed_or_said() -> None:
    missing = set()
    for name, schema in _operators():
        node, opset, key = _node(schema), schema.since_version, (schema.domain, name)
        said = in_double(*key) is not None
        said = said or (not schema.domain and has_function_body(schema))
        said = said or (bool(schema.domain) and isinstance(lookup(*key, opset), Body))
        if not said and not has_kernel(node, opset, ir.DataType.DOUBLE):
            missing.add(name)
    assert missing == EXCEPT.keys()
