"""ONNX's operator Gradient in a file: where it may stand. What becomes of it is up to autodiff.

Its attributes name tensors of the graph that it is in. In a function or subgraph these get other
names when the net is normalised, so it has to stand in the main graph.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from portgrad.errors import InvalidNet
from portgrad.graph import walk
from portgrad.graph.schemas.training import DOMAIN, GRADIENT


def check_places(model: onnx.ModelProto) -> None:
    """Refuse Gradient nodes outside of the main graph.

    Raises:
        InvalidNet: `invalid_gradient`.
    """
    if any((function.domain, function.name) == (DOMAIN, GRADIENT) for function in model.functions):
        return  # the net says itself what its operator is
    for function in model.functions:
        _refuse(walk.nodes(function), f"the function `{function.name}`")
    for node in model.graph.node:
        for graph in walk.subgraphs(node):
            _refuse(graph.node, f"a subgraph of the node `{walk.called(node)}` ({node.op_type})")


def _refuse(nodes: Iterable[onnx.NodeProto], place: str) -> None:
    for node in nodes:
        if (node.domain, node.op_type) == (DOMAIN, GRADIENT):
            raise InvalidNet(
                "The net has a Gradient node outside of its main graph.",
                code="invalid_gradient",
                where=f"node `{walk.called(node)}` in {place}",
                expected="Gradient nodes in the main graph alone",
                remedy="Move the node to the main graph, or inline the function.",
            )
