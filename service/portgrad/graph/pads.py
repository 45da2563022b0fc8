"""Pads of some axes, written as pads of all axes.

onnxruntime's transpose optimizer moves a Transpose past a Pad as if it had no `axes`: the run then
fails or, where each axis is named in another order, is silently wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from portgrad.graph.constants import constant_value, hold
from portgrad.graph.inside import with_inner
from portgrad.graph.taken import value_names


def spread(graph: ir.Graph) -> None:
    """Rewrite the pads of a graph and its subgraphs, in place, where rank and axes are known."""
    padded = [node for node in with_inner(graph) if node.op_type == "Pad" and not node.domain]
    found = [(node, positions) for node in padded if (positions := _positions(node))]
    taken = value_names(graph) if found else set()
    for node, (size, places) in found:
        name = f"{node.outputs[0].name}/pads"
        while name in taken:
            name += "_"
        taken.add(name)
        whole = _spread(graph, node, name, np.zeros(size, np.int64), places)
        node.replace_input_with(1, whole)
        node.replace_input_with(3, None)


def _positions(node: ir.Node) -> tuple[int, Sequence[int]] | None:
    """How many paddings there are for all axes, and where those of the named axes lie."""
    axes = constant_value(node.inputs[3]) if len(node.inputs) > 3 else None
    ends = (node.inputs[0], node.outputs[0])
    rank = next((len(v.shape) for v in ends if v is not None and v.shape is not None), None)
    if axes is None or rank is None:
        return None
    before = [int(axis) % rank for axis in axes]
    return 2 * rank, [*before, *(axis + rank for axis in before)]


def _spread(
    graph: ir.Graph,
    node: ir.Node,
    name: str,
    zeros: np.ndarray[tuple[int], np.dtype[np.int64]],
    places: Sequence[int],
) -> ir.Value:
    known = constant_value(node.inputs[1])
    if known is not None:
        zeros[places] = known
        return hold(graph, name, zeros)
    index = hold(graph, f"{name}/places", np.array(places, np.int64))
    scatter = ir.Node(
        "", "ScatterElements", [hold(graph, f"{name}/none", zeros), index, node.inputs[1]]
    )
    result = scatter.outputs[0]
    result.name, result.type = name, ir.TensorType(ir.DataType.INT64)
    result.shape = ir.Shape([zeros.size])
    (node.graph or graph).insert_before(node, scatter)
    return result
