"""What has no float64 here is refused by name; nothing smooth is computed in float32 instead."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

import portgrad
from portgrad.autodiff import doubled
from portgrad.errors import Unsupported
from rules.test_rule_table import SMOOTH
from support.rig import case

FLOAT, INT32 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32


def _net(node: onnx.NodeProto, ports: dict[str, tuple[int, list[int]]]) -> portgrad.Net:
    inputs = [helper.make_tensor_value_info(n, kind, dims) for n, (kind, dims) in ports.items()]
    outputs = [helper.make_tensor_value_info(y, FLOAT, None) for y in node.output if y]
    graph = helper.make_graph([node], "one", inputs, outputs)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return portgrad.load(model.SerializeToString(), threads=1)


def test_an_operator_that_is_said_in_no_others() -> None:
    node = helper.make_node(
        "MaxpoolWithMask", ["x", "m"], ["y"], "pool", kernel_shape=[2, 2], domain="com.microsoft"
    )
    net = _net(node, {"x": (FLOAT, [1, 1, 4, 4]), "m": (INT32, [1, 1, 4, 4])})
    data = {"x": np.ones((1, 1, 4, 4), np.float32), "m": np.ones((1, 1, 4, 4), np.int32)}
    with pytest.raises(Unsupported) as caught:
        net.evaluate(data, precision="float64")
    assert caught.value.code == "no_float64"
    assert caught.value.where == "pool"
    assert "only a float32 kernel computes 'y'" in caught.value.detail


def test_an_output_that_is_said_in_no_others() -> None:
    """What the operator captures of its states; where nobody reads it, the rest is doubles."""
    [row] = [row for row in SMOOTH if str(row) == "VarlenCausalConvWithState-captured"]
    single = case(row, np.float32)
    with pytest.raises(Unsupported) as caught:
        doubled(ir.from_proto(single.model))
    assert caught.value.code == "no_float64"
    doubled(ir.from_proto(single.forward()))


def test_statistics_that_the_standard_has_in_float32() -> None:
    node = helper.make_node("LayerNormalization", ["x", "g"], ["y", "mean", "inverse"], "norm")
    net = _net(node, {"x": (FLOAT, [1, 2, 3]), "g": (FLOAT, [3])})
    x = np.array([[[0.1, 0.2, 0.4], [1.0, 3.0, 9.0]]])
    found = net.evaluate({"x": x, "g": np.ones(3)}, precision="float64")
    np.testing.assert_allclose(found["mean"], x.mean(-1, keepdims=True), rtol=1e-15)
    np.testing.assert_allclose(
        found["inverse"], 1 / np.sqrt(x.var(-1, keepdims=True) + np.float32(1e-5)), rtol=1e-14
    )


def test_a_net_keeps_its_own_tensors() -> None:
    """The doubled net is a copy: what is asked afterwards in float32 is as before."""
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv")
    net = _net(node, {"x": (FLOAT, [1, 1, 3, 3]), "w": (FLOAT, [1, 1, 2, 2])})
    data = {"x": np.ones((1, 1, 3, 3), np.float32), "w": np.ones((1, 1, 2, 2), np.float32)}
    before = net.gradient(data)
    assert net.gradient(data, precision="float64")["x"].dtype == np.float64
    after = net.gradient(data)
    assert after["x"].dtype == np.float32
    np.testing.assert_array_equal(before["x"], after["x"])
