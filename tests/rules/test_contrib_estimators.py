"""com.microsoft's operators on codes: the estimate is that of the numbers behind the codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import portgrad

STRAIGHT: dict[str, Any] = {"quantized": "straight_through"}
_HEAD = """<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>
g (float[2,3,4,4] x, float[4,3] v) => (float[A,B,C,D] y)
<float s = {0.03}, uint8 z = {120}, float t = {0.02}, uint8 u = {140}, float r = {0.035},
 uint8 w = {60}, bool[4] m = {1, 0, 1, 1},
 int8[3,5] k = {9, -3, 4, 1, 7, -8, 5, -6, 2, 0, 3, -9, 6, 8, -5},
 int8[5,3] kt = {9, 1, -8, -3, 7, 5, 4, 2, -6, 1, 0, 3, 7, -9, 8}, float ks = {0.1}, int8 kz = {1},
 float[5] ks5 = {0.1, 0.2, 0.05, 0.1, 0.3}, int8[5] kz5 = {1, 0, 2, 3, -1},
 int32[5] c = {10, -20, 30, 5, 0}>"""
_TWO = "a = QuantizeLinear(x, s, z) n = Neg(x) h = Sin(n) b = QuantizeLinear(h, t, u)"
_BOTH = "d = DequantizeLinear(a, s, z) e = DequantizeLinear(b, t, u)"
_ONE = "a = QuantizeLinear(x, s, z)"
_D = "d = DequantizeLinear(a, s, z)"
_Y = "y = DequantizeLinear(q, r, w)"
_Q = "q = QuantizeLinear(p, r, w)"
_ROWS = "a = QuantizeLinear(v, s, z)"
C = "com.microsoft"


def _one(op: str, plain: str) -> tuple[str, str]:
    return f"{_ONE} q = {op}(a, s, z, r, w) {_Y}", f"{_ONE} {_D} p = {plain} {_Q} {_Y}"


def _two(op: str, plain: str) -> tuple[str, str]:
    return (
        f"{_TWO} q = {op}(a, s, z, b, t, u, r, w) {_Y}",
        f"{_TWO} {_BOTH} p = {plain} {_Q} {_Y}",
    )


_POOL = "<kernel_shape = [3, 2], strides = [1, 2], pads = [1, 0, 0, 0], count_include_pad = 1>"
NETS = {
    "QLinearAdd": _two(f"{C}.QLinearAdd", "Add(d, e)"),
    "QLinearMul": _two(f"{C}.QLinearMul", "Mul(d, e)"),
    "QLinearWhere": (
        f"{_TWO} q = {C}.QLinearWhere(m, a, s, z, b, t, u, r, w) {_Y}",
        f"{_TWO} {_BOTH} p = Where(m, d, e) {_Q} {_Y}",
    ),
    "QLinearConcat": (
        f"{_TWO} q = {C}.QLinearConcat<axis = 1>(r, w, a, s, z, b, t, u) {_Y}",
        f"{_TWO} {_BOTH} p = Concat<axis = 1>(d, e) {_Q} {_Y}",
    ),
    "QLinearSigmoid": _one(f"{C}.QLinearSigmoid", "Sigmoid(d)"),
    "QLinearLeakyRelu": _one(f"{C}.QLinearLeakyRelu<alpha = 0.2>", "LeakyRelu<alpha = 0.2>(d)"),
    "QLinearSoftmax": _one(f"{C}.QLinearSoftmax<axis = 1, opset = 13>", "Softmax<axis = 1>(d)"),
    "QLinearAveragePool": _one(f"{C}.QLinearAveragePool{_POOL}", f"AveragePool{_POOL}(d)"),
    "QLinearGlobalAveragePool": _one(
        f"{C}.QLinearGlobalAveragePool<channels_last = 0>", "GlobalAveragePool(d)"
    ),
    "QLinearConv": (
        f"{_ONE} o = Constant<value = int8[1,3,1,1] {{4, -2, 3}}>()"
        f" q = {C}.QLinearConv(a, s, z, o, ks, kz, r, w) {_Y}",
        f"{_ONE} {_D} o = Constant<value = int8[1,3,1,1] {{4, -2, 3}}>()"
        f" e = DequantizeLinear(o, ks, kz) p = Conv(d, e) {_Q} {_Y}",
    ),
    "QuantizeLinear-DequantizeLinear": (
        f"a = {C}.QuantizeLinear(x, s, z) y = {C}.DequantizeLinear(a, s, z)",
        f"{_ONE} y = DequantizeLinear(a, s, z)",
    ),
}
_GEMM = "e = DequantizeLinear<axis = 1>(k, ks5, kz5) cs = Mul(s, ks5) cf = Cast<to = 1>(c)"
MATRICES = {
    "QGemm": (
        f"{_ROWS} q = {C}.QGemm(a, s, z, k, ks, kz, c, r, w) {_Y}",
        f"{_ROWS} {_D} e = DequantizeLinear(k, ks, kz) cs = Mul(s, ks) cf = Cast<to = 1>(c)"
        f" f = Mul(cf, cs) p = Gemm(d, e, f) {_Q} {_Y}",
    ),
    "QGemm-channels": (
        f"{_ROWS} q = {C}.QGemm(a, s, z, k, ks5, kz5, c, r, w) {_Y}",
        f"{_ROWS} {_D} {_GEMM} f = Mul(cf, cs) p = Gemm(d, e, f) {_Q} {_Y}",
    ),
    "QGemm-transposed": (
        f"{_ROWS} q = {C}.QGemm<transB = 1, alpha = 0.5>(a, s, z, kt, ks5, kz5, , r, w) {_Y}",
        f"{_ROWS} {_D} e = DequantizeLinear<axis = 0>(kt, ks5, kz5)"
        f" p = Gemm<transB = 1, alpha = 0.5>(d, e) {_Q} {_Y}",
    ),
    "QGemm-of-numbers": (
        f"{_ROWS} y = {C}.QGemm<transB = 1>(a, s, z, kt, ks5, kz5, c)",
        f"{_ROWS} {_D} e = DequantizeLinear<axis = 0>(kt, ks5, kz5) cs = Mul(s, ks5)"
        " cf = Cast<to = 1>(c) f = Mul(cf, cs) y = Gemm<transB = 1>(d, e, f)",
    ),
    "MatMulIntegerToFloat": (
        f"{_ROWS} y = {C}.MatMulIntegerToFloat(a, k, s, ks5, z, kz5)",
        f"{_ROWS} {_D} e = DequantizeLinear<axis = 1>(k, ks5, kz5) y = MatMul(d, e)",
    ),
    "DynamicQuantizeMatMul": (
        f"y = {C}.DynamicQuantizeMatMul(v, k, ks5, kz5)",
        "a, o, i = DynamicQuantizeLinear(v) d = DequantizeLinear(a, o, i)"
        " e = DequantizeLinear<axis = 1>(k, ks5, kz5) y = MatMul(d, e)",
    ),
}


def _net(body: str) -> portgrad.Net:
    model = onnx.parser.parse_model(f"{_HEAD} {{ {body} }}")
    used = {name for node in model.graph.node for name in node.input}
    for index in reversed(range(2)):
        if model.graph.input[index].name not in used:
            del model.graph.input[index]
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:], model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.initializer.extend(kept)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return portgrad.load(model.SerializeToString())


# The kernel rounds otherwise than the numbers do, which only the gradient of its scale sees.
_BY_TABLE = {"QLinearSoftmax"}


@pytest.mark.parametrize("name", [*NETS, *MATRICES])
def test_the_estimate_is_that_of_the_numbers(name: str) -> None:
    coded, numbers = (NETS | MATRICES)[name]
    one, other = _net(coded), _net(numbers)
    [port] = one.names.inputs
    shape = (2, 3, 4, 4) if port == "x" else (4, 3)
    x = np.random.default_rng(8).uniform(-2.0, 4.0, shape).astype(np.float32)
    y = one.evaluate(x)["y"]
    np.testing.assert_allclose(y, other.evaluate(x)["y"], atol=0.036)  # a step, where ties round
    seed = np.random.default_rng(3).standard_normal(y.shape).astype(np.float32)
    held = one.names.parameters
    read = ("s", "t", "ks", "ks5") if name in _BY_TABLE else ("s", "t", "r", "ks", "ks5")
    scales = [scale for scale in read if scale in held]
    args: dict[str, Any] = {"wrt": [port, *scales], "output_gradients": {"y": seed}}
    found = one.gradient(x, outputs=True, **args, **STRAIGHT)
    want = other.gradient(x, **args, **STRAIGHT)
    np.testing.assert_array_equal(found.outputs["y"], y)
    for target in want:
        assert np.abs(want[target]).max() > 0, target
        np.testing.assert_allclose(found[target], want[target], rtol=1e-3, atol=2e-3)
    exact = one.gradient(x, **args)
    assert any("straight_through" in sentence for sentence in exact.warnings)
