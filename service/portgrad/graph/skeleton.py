"""A graph of objects as onnx is told of it: without its weights, which onnx would copy."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
import onnx_ir as ir

from portgrad.graph.bulk import SMALL
from portgrad.graph.check import guarded, read
from portgrad.graph.shapes import inferred


def skeleton(model: ir.Model) -> onnx.ModelProto:
    """The model with inputs in the place of its larger initializers."""
    light = model.clone()
    for name, value in list(light.graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None and tensor.dtype != ir.DataType.STRING and tensor.nbytes > SMALL:
            del light.graph.initializers[name]
            value.const_value = None
            light.graph.inputs.append(value)
    return ir.to_proto(light)


def reinfer(model: ir.Model, values: Iterable[ir.Value]) -> None:
    """Set the shapes of some values of the main graph anew, in place.

    Raises:
        InvalidNet: `shape_inference_failed` where they contradict each other.
    """
    stale = list(values)
    for value in stale:
        value.shape = None
    bare = skeleton(model)
    typed = guarded(
        lambda: inferred(bare),
        bare,
        code="shape_inference_failed",
        what="The types or shapes of the net contradict each other.",
        remedy="Check the named node's operands against its operator.",
    )
    shapes = {v.name: v.shape for node in read(typed).graph for v in node.outputs}
    for value in stale:
        value.shape = shapes.get(value.name)
