"""Sizes of a single example's values that onnx's inference over the whole net leaves open.

It does not follow sizes through all that exporters compute them with. The analysis does, so each
node's output is looked at again with what is known by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import onnx_ir as ir

from portgrad.graph.batch.counts import Count, Dim
from portgrad.graph.batch.states import Refused, Size
from portgrad.graph.batch.step import Step, dims
from portgrad.graph.constants import constant_value

Dims = list[Dim]


def refine(step: Step) -> None:
    """Write down what is known of the shape of a node's first output, where some is open."""
    node = step.node
    value = node.outputs[0] if node.outputs else None
    if node.domain or value is None or value.shape is None or _closed(value.shape):
        return
    try:
        found = _WAYS.get(node.op_type, _by_onnx)(step)
    except Refused:
        return
    if found is not None and len(found) == len(value.shape):
        old = dims(value.shape)
        merged = [
            b if isinstance(b, int) or a is None else a for a, b in zip(found, old, strict=True)
        ]
        value.shape = ir.Shape(merged)


def _closed(shape: ir.Shape) -> bool:
    return all(isinstance(size, int) for size in shape)


def _slice(step: Step) -> Dims | None:
    if not step.has(3):
        return None
    rank = step.rank(0)
    cut = step.axes(3, rank)
    return [None if axis in cut else size for axis, size in enumerate(step.shape(0))]


def _gather_elements(step: Step) -> Dims | None:
    return list(step.shape(1))


def _reshape(step: Step) -> Dims | None:
    shape, asked = step.shape(0), [_single(entry) for entry in step.vector(1)]
    inferred = step.output_shape()
    if step.attribute("allowzero") and 0 in asked:
        return None
    found = [
        shape[axis] if size == 0 and axis < len(shape) else size if size != -1 else None
        for axis, size in enumerate(asked)
    ]
    if asked.count(-1) == 1 and len(inferred) == len(found):
        at = asked.index(-1)
        others = [b if a is None else a for a, b in zip(found, inferred, strict=True)]
        total, around = Count.of(shape), Count.of([*others[:at], *others[at + 1 :]])
        rest = None if total is None or around is None else total.over(around)
        found[at] = None if rest is None else rest.size
    return found


def _expand(step: Step) -> Dims | None:
    asked: Dims = [_single(entry) for entry in step.vector(1)]
    shape: Dims = list(step.shape(0))
    rank = max(len(asked), len(shape))
    pairs = zip(_wide(asked, rank), _wide(shape, rank), strict=True)
    return [_broadcast(target, size) for target, size in pairs]


def _broadcast(one: Dim, other: Dim) -> Dim:
    """The size that two broadcast to, None where the run decides."""
    if one == 1 or other == 1:
        return other if one == 1 else one
    known = [size for size in (one, other) if isinstance(size, int)]
    return known[0] if known else one if one == other else None


def _wide(sizes: Dims, rank: int) -> Dims:
    return [*[1] * (rank - len(sizes)), *sizes]


def _single(entry: Any) -> Any:
    """A size for one example."""
    return entry.times if isinstance(entry, Size) else entry


def _by_onnx(step: Step) -> Dims | None:
    """By the operator's own inference, from the shapes of its operands."""
    node = step.node
    given = [value for value in node.inputs if value is not None]
    if any(value.type is None or value.shape is None for value in given):
        return None
    proto = ir.to_proto(node)
    schema = onnx.defs.get_schema(node.op_type, step.opset)
    types = {str(value.name): _typed(value) for value in given}
    constants = {str(value.name): constant_value(value) for value in given}
    data = {
        name: onnx.numpy_helper.from_array(array, name)
        for name, array in constants.items()
        if array is not None and array.size <= _SMALL
    }
    try:
        found = onnx.shape_inference.infer_node_outputs(
            schema, proto, types, data, opset_imports=[onnx.helper.make_opsetid("", step.opset)]
        )
    except Exception:  # whatever it raises, it has nothing to say
        return None
    shape = found[proto.output[0]].tensor_type.shape
    return [d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in shape.dim]


_SMALL = 1024
_WAYS = {
    "Expand": _expand,
    "GatherElements": _gather_elements,
    "Reshape": _reshape,
    "Slice": _slice,
}


def _typed(value: ir.Value) -> onnx.TypeProto:
    assert value.dtype is not None
    sizes: Sequence[Dim] = dims(value.shape or ir.Shape(()))
    return onnx.helper.make_tensor_type_proto(int(value.dtype), sizes)
