"""Scatter and Upsample have no rule: normalising a net replaces them, and the gradient is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import Arrays
from support.rig import Case, check_adjoint

_RNG = np.random.default_rng(5)
_TABLE = _RNG.standard_normal((3, 4)).astype(np.float32)
_UPDATES = _RNG.standard_normal((2, 2)).astype(np.float32)
_IMAGE = _RNG.standard_normal((1, 2, 3, 2)).astype(np.float32)
_PLACES = np.array([[0, 2], [1, 0]])


def _net(
    op: str, opset: int, feeds: Arrays, constants: Arrays, **attributes: Any
) -> onnx.ModelProto:
    T = onnx.TensorProto  # noqa: N806
    ports = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in feeds.items()
    ]
    # A square on top, so that what is scattered or resized counts.
    nodes = [
        helper.make_node(op, [*feeds, *constants], ["placed"], **attributes),
        helper.make_node("Mul", ["placed", "placed"], ["y"]),
    ]
    outputs = [helper.make_tensor_value_info("y", T.FLOAT, None)]
    weights = [numpy_helper.from_array(x, name) for name, x in constants.items()]
    graph = helper.make_graph(nodes, "net", ports, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4)


_SCALES = {"scales": np.array([1, 1, 2, 3], np.float32)}
_SCATTERED = {"data": _TABLE, "indices": _PLACES, "updates": _UPDATES}


@pytest.mark.parametrize(
    ("op", "opset", "feeds", "constants", "attributes"),
    [
        ("Scatter", 9, _SCATTERED, {}, {}),
        ("Scatter", 10, _SCATTERED, {}, {"axis": 1}),
        ("Upsample", 7, {"x": _IMAGE}, {}, {"scales": [1.0, 1.0, 2.0, 3.0]}),
        ("Upsample", 7, {"x": _IMAGE}, {}, {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "linear"}),
        ("Upsample", 9, {"x": _IMAGE}, _SCALES, {}),
        ("Upsample", 9, {"x": _IMAGE}, _SCALES, {"mode": "linear"}),
    ],
)
def test_gradient(
    op: str, opset: int, feeds: Arrays, constants: Arrays, attributes: dict[str, Any]
) -> None:
    written = _net(op, opset, feeds, constants, **attributes)
    net = ir.to_proto(load(NetFiles(written.SerializeToString())))
    assert op not in {node.op_type for node in net.graph.node}
    wrt = tuple(name for name, x in feeds.items() if x.dtype == np.float32)
    # Central differences of a square are exact; float32 rounds sums of a few dozen products.
    check_adjoint(Case(net, feeds, wrt, ("y",)), step=0.5, tolerance=1e-5)
