"""What lies inside If and Loop is seen: bodies are expanded there, obstacles are found there."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import portgrad
from portgrad.autodiff import registry
from portgrad.autodiff.registry import Refused
from portgrad.errors import Unsupported

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
