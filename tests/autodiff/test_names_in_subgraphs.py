"""Nodes inside a body are reported by the names that the file gives them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper as h

import portgrad


def _loop(*nodes: onnx.NodeProto) -> bytes:
    """Two trips of a body that takes `s` to `s2`."""
    number, flag = onnx.TensorProto.INT64, onnx.TensorProto.BOOL

    def info(name: str, dtype: int = onnx.TensorProto.FLOAT, *dims: int) -> onnx.ValueInfoProto:
        return h.make_tensor_value_info(name, dtype, list(dims))

    body = h.make_graph(
        [h.make_node("Identity", ["going"], ["go_on"]), *nodes],
        "body",
        [info("trip", number), info("going", flag), info("s")],
        [info("go_on", flag), info("s2")],
    )
    graph = h.make_graph(
        [
            h.make_node("Constant", [], ["trips"], value_int=2),
            h.make_node("Loop", ["trips", "", "x"], ["y"], body=body, name="outside"),
        ],
        "net",
        [info("x")],
        [info("y")],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


def test_a_warning_names_the_node_in_the_body() -> None:
    net = portgrad.load(_loop(h.make_node("Round", ["s"], ["s2"], name="inside")))
    found = net.gradient(np.float32(0.25))
    assert found["x"] == 0
    assert found.warnings == (
        "Round node 'inside': it is piecewise constant, so its gradient is zero",
    )
