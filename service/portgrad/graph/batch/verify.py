"""A second opinion: onnx's own shape inference must put the batch where the analysis put it."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx_ir as ir

from portgrad.graph.batch.states import Refused
from portgrad.graph.shapes import inferred

_SMALL = 1024  # bytes; shape vectors are smaller, weights are not needed to infer shapes


def verify(model: ir.Model, axes: Mapping[str, int], symbol: str) -> None:
    """Refuse if inference from the ports alone disagrees.

    Args:
        model: the rewritten net, its batched ports with `symbol` on axis 0.
        axes: the batch axis of each value that carries the batch.
        symbol: the name of the batch size.
    """
    graph = anew(model).graph
    for value in [*graph.value_info, *graph.output]:
        if not value.type.tensor_type.HasField("shape"):
            continue
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if axes.get(value.name) == axis:
                if size.HasField("dim_value"):
                    found = f"{value.name} has {size.dim_value} for the batch size"
                    raise Refused(found, value.name)
            elif size.dim_param == symbol:
                raise Refused(f"{value.name} has the batch size on axis {axis}", value.name)


def anew(model: ir.Model) -> onnx.ModelProto:
    """Types and shapes inferred from the ports alone; Refused where that fails."""
    try:
        return inferred(ir.to_proto(_bare(model)))
    except Exception as error:
        raise Refused(f"shapes cannot be inferred with a batch: {error}") from error


def _bare(model: ir.Model) -> ir.Model:
    """A copy without weights, known shapes and outputs' declarations."""
    bare = model.clone()
    graph = bare.graph
    for node in graph:
        for value in node.outputs:
            value.shape = None
    for name, value in list(graph.initializers.items()):
        if value.const_value is not None and value.const_value.nbytes > _SMALL:
            graph.initializers.pop(name)
            if value not in graph.inputs:
                graph.inputs.append(value)
    return bare
