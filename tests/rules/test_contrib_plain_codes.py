"""com.microsoft's operators that move or multiply codes: their estimators, against plain nets."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import portgrad

STRAIGHT: dict[str, Any] = {"quantized": "straight_through"}
HEAD = """<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>
g (float[1,4,4,2] x) => (float[A,B,C,D] y)
<float s = {0.03}, uint8 z = {120}, int16[2,3] w = {9, -3, 4, 1, 7, -8}, float t = {0.02},
 int16 o = {0}>"""
POOL = "<kernel_shape = [2, 3], strides = [1, 2], pads = [1, 0, 0, 0]>"
# What the net writes, and what its estimate is the gradient of.
NETS = {
    "NhwcMaxPool": (
        f"a = QuantizeLinear(x, s, z) q = com.microsoft.NhwcMaxPool{POOL}(a)"
        " y = DequantizeLinear(q, s, z)",
        "a = QuantizeLinear(x, s, z) d = DequantizeLinear(a, s, z)"
        f" n = Transpose<perm = [0, 3, 1, 2]>(d) p = MaxPool{POOL}(n)"
        " y = Transpose<perm = [0, 2, 3, 1]>(p)",
    ),
    "MatMulInteger16": (
        "a = QuantizeLinear(x, t, o) q = com.microsoft.MatMulInteger16(a, w)"
        " f = Cast<to = 1>(q) y = Mul(f, t)",
        "a = QuantizeLinear(x, t, o) d = DequantizeLinear(a, t, o) f = Cast<to = 1>(w)"
        " y = MatMul(d, f)",
    ),
}


def _net(text: str) -> portgrad.Net:
    return portgrad.load(onnx.parser.parse_model(HEAD + "{" + text + "}").SerializeToString())


@pytest.mark.parametrize("name", NETS)
def test_estimate(name: str) -> None:
    written, plain = (_net(text) for text in NETS[name])
    assert written.description.outputs[0].shape == plain.description.outputs[0].shape
    x = np.random.default_rng(3).standard_normal((1, 4, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(written.evaluate(x)["y"], plain.evaluate(x)["y"], rtol=1e-5)
    want, got = (net.gradient(x, **STRAIGHT)["x"] for net in (plain, written))
    assert np.any(want)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)  # a few roundings of 6e-8


@pytest.mark.parametrize("name", NETS)
def test_zero_without_the_estimator_and_a_warning(name: str) -> None:
    gradient = _net(NETS[name][0]).gradient(np.zeros((1, 4, 4, 2), np.float32))
    assert not np.any(gradient["x"])
    assert gradient.warnings
