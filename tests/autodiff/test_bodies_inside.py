"""What lies inside If and Loop is seen: bodies are expanded there, obstacles are found there."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import portgrad
from portgrad.autodiff import gradient_graph, registry
from portgrad.autodiff.registry import Refused
from portgrad.errors import Unsupported
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

HEAD = '<ir_version: 11, opset_import: ["": 23]>'
ROTATED = f"""{HEAD}
net (bool flag, float[1, 2, 3, 4] x, float[3, 2] c, float[3, 2] s) => (float[1, 2, 3, 4] y) {{
    c1 = Unsqueeze(c, zero)
    s1 = Unsqueeze(s, zero)
    t = If(flag) <
        then_branch = yes () => (float[1, 2, 3, 4] a) {{ a = RotaryEmbedding(x, c1, s1) }},
        else_branch = no () => (float[1, 2, 3, 4] b) {{ b = Neg(x) }}
    >
    y = Mul(t, x)
}}"""
REFUSED = f"""{HEAD} net (bool flag, float[2] x, float[2] z) => (float[2] y) {{
    t = If(flag) <
        then_branch = yes () => (float[2] a) {{ a = Relu(x) }},
        else_branch = no () => (float[2] b) {{ b = Identity(x) }}
    >
    y = Mul(t, z)
}}"""


def _net(text: str) -> portgrad.Net:
    model = onnx.parser.parse_model(text)
    if "zero" in text:
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), "zero"))
    return portgrad.load(model.SerializeToString())


def test_a_function_body_inside_a_branch_is_differentiated() -> None:
    net = _net(ROTATED)
    assert all(port.differentiable for port in net.description.inputs[1:])
    rng = np.random.default_rng(0)
    data = {
        "flag": np.array(True),
        "x": rng.standard_normal((1, 2, 3, 4)).astype(np.float32),
        "c": rng.standard_normal((3, 2)).astype(np.float32),
        "s": rng.standard_normal((3, 2)).astype(np.float32),
    }
    gradient = net.gradient(data, wrt=["x", "c"])

    def total(**moved: np.ndarray) -> float:
        return float(net.evaluate({**data, **moved})["y"].astype(np.float64).sum())

    for name in ("x", "c"):
        v = rng.standard_normal(data[name].shape).astype(np.float32)
        # y is at most quadratic in each: central differences are exact but for rounding.
        numeric = (total(**{name: data[name] + v}) - total(**{name: data[name] - v})) / 2.0
        assert float(np.vdot(gradient[name], v)) == pytest.approx(numeric, rel=1e-4)


def test_an_obstacle_inside_a_branch_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._ENTRIES, ("", "Relu"), [Refused("it is made to have none")])
    net = _net(REFUSED)
    described = {port.name: port for port in net.description.inputs}
    assert described["z"].differentiable
    assert not described["x"].differentiable
    assert "Relu" in str(described["x"].reason)
    data = {"flag": np.array(True), "x": np.ones(2, np.float32), "z": np.ones(2, np.float32)}
    np.testing.assert_array_equal(net.gradient(data, wrt="z")["z"], [1.0, 1.0])
    with pytest.raises(Unsupported, match=r"Relu .* it is made to have none"):
        net.gradient(data, wrt="x")


def test_names_inside_the_subgraphs_of_a_body_occur_once() -> None:
    text = """<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
    net (float[1, 3, 4] q, float[1, 3, 4] k, float[1, 3, 4] v) => (float[1, 3, 4] y) {
        p, s = com.microsoft.LinearAttention
            <q_num_heads = 2, kv_num_heads = 2, update_rule = "linear">(q, k, v)
        y, t = com.microsoft.LinearAttention
            <q_num_heads = 2, kv_num_heads = 2, update_rule = "linear">(p, k, v)
    }"""
    net = load(NetFiles(onnx.parser.parse_model(text).SerializeToString()))
    graph = gradient_graph(net, wrt=["q"], of=["y"]).model.graph
    nodes = list(graph.all_nodes())
    assert sum(node.op_type == "Scan" for node in nodes) >= 2
    values = [v.name for node in nodes for v in node.outputs if v.name]
    assert len(values) == len(set(values))
    called = [(id(node.graph), node.name) for node in nodes if node.name]
    assert len(called) == len(set(called))
