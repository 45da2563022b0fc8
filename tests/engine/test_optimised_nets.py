"""Nets as onnxruntime's own optimizer saves them: the gradient is that of the net it was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

import portgrad
from portgrad.errors import InvalidNet

LEVELS = ort.GraphOptimizationLevel
HEAD = '<ir_version: 10, opset_import: ["" : 17]> net '
TRANSFORMER = """(int64[B,S] ids, float[B,S,8] noise) => (float[B,S,4] y)
<float[10,8] table, float[8,8] wq, float[8,8] wk, float[8,8] wv, float[8,8] wo, float[8] bq,
 float[8] bk, float[8] bv, float[8] bo, float[8] gain, float[8] shift, float[8,16] w1,
 float[16] b1, float[16,8] w2, float[8] b2, float[8,4] w3, float scale = {0.3535},
 float root = {1.4142135}, float one = {1}, float half = {0.5}> {
    e = Gather(table, ids) x = Add(e, noise)
    q0 = MatMul(x, wq) q = Add(q0, bq) k0 = MatMul(x, wk) k = Add(k0, bk)
    v0 = MatMul(x, wv) v = Add(v0, bv)
    turned = Transpose<perm = [0, 2, 1]>(k) s0 = MatMul(q, turned) s = Mul(s0, scale)
    p = Softmax<axis = -1>(s) a = MatMul(p, v) o0 = MatMul(a, wo) o = Add(o0, bo)
    r = Add(x, o) n = LayerNormalization<axis = -1, epsilon = 0.00001>(r, gain, shift)
    h0 = MatMul(n, w1) h1 = Add(h0, b1)
    h2 = Div(h1, root) h3 = Erf(h2) h4 = Add(h3, one) h5 = Mul(h1, h4) h = Mul(h5, half)
    f0 = MatMul(h, w2) f = Add(f0, b2)
    r2 = Add(n, f) m = LayerNormalization<axis = -1, epsilon = 0.00001>(r2, gain, shift)
    y = MatMul(m, w3)
}"""
LLAMA = """(float[B,S,8] x) => (float[B,S,8] y)
<float[8,16] w1, float[8,16] w2, float[16,8] w3, float[8] gain, float two = {2},
 float small = {0.00001}, float one = {1}, int64[1] last = {-1}> {
    square = Pow(x, two) mean = ReduceMean<axes = [-1]>(square) sum = Add(mean, small)
    deviation = Sqrt(sum) inverse = Div(one, deviation) normal = Mul(x, inverse)
    n = Mul(gain, normal)
    g0 = MatMul(n, w1) s = Sigmoid(g0) g = Mul(g0, s) u = MatMul(n, w2) h = Mul(g, u)
    f = MatMul(h, w3) y = Add(x, f)
}"""
CONVOLUTIONS = """(float[B,2,8,8] x) => (float[B,5] y)
<float[4,2,3,3] w1, float[4] b1, float[4,4,3,3] w2, float[4] b2, float[4] gain, float[4] shift,
 float[4] mean, float[4] variance, float[4,1,3,3] w3, float[4,4,1,1] w4, float[5,4] w5, float[5] b5,
 float low = {0}, float high = {6}> {
    c = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
    n = BatchNormalization(c, gain, shift, mean, variance) r = Relu(n)
    c2 = Conv<pads = [1, 1, 1, 1]>(r, w2, b2) a2 = Add(c2, r) r2 = Relu(a2)
    c3 = Conv<group = 4, pads = [1, 1, 1, 1]>(r2, w3) r3 = Clip(c3, low, high)
    c4 = Conv(r3, w4) r4 = LeakyRelu<alpha = 0.1>(c4)
    p = GlobalAveragePool(r4) f = Flatten(p) z = Gemm<transB = 1>(f, w5, b5) y = Tanh(z)
}"""
# The text of a net, and operators that the optimizer has made of it.
NETS = {
    "transformer": (TRANSFORMER, {"SkipLayerNormalization", "BiasGelu", "FusedMatMul"}),
    "llama": (LLAMA, {"SimplifiedLayerNormalization"}),
    "convolutions": (CONVOLUTIONS, {"FusedConv", "FusedGemm"}),
}


def _net(text: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(HEAD + text)
    rng = np.random.default_rng(3)
    for info in model.graph.value_info:
        tensor = info.type.tensor_type
        array = rng.standard_normal([dim.dim_value for dim in tensor.shape.dim]) * 0.5
        array = np.abs(array) + 0.1 if info.name in {"gain", "variance"} else array
        weight = numpy_helper.from_array(array.astype(np.float32), info.name)
        model.graph.initializer.append(weight)
    del model.graph.value_info[:]
    return model


def _optimised(model: onnx.ModelProto, level: ort.GraphOptimizationLevel, path: Path) -> bytes:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4  # it warns that the file is for this machine
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return path.read_bytes()


def _data(net: portgrad.Net) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    sizes = {"B": 2, "S": 3}
    shapes = {
        port.name: [sizes.get(str(size), size) for size in port.shape]
        for port in net.description.inputs
    }
    return {
        name: rng.integers(0, 10, shape)
        if name == "ids"
        else rng.standard_normal(shape).astype(np.float32)
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("name", NETS)
def test_an_optimised_net_has_the_gradient_of_the_net(name: str, tmp_path: Path) -> None:
    text, fused = NETS[name]
    model = _net(text)
    saved = _optimised(model, LEVELS.ORT_ENABLE_EXTENDED, tmp_path / "net.onnx")
    assert fused <= {node.op_type for node in onnx.load_from_string(saved).graph.node}
    plain, optimised = portgrad.load(model.SerializeToString()), portgrad.load(saved)
    data = _data(plain)
    want, got = (net.gradient(data) for net in (plain, optimised))
    for key, gradient in want.items():
        # Sums of a few dozen products of order one in another order.
        np.testing.assert_allclose(got[key], gradient, rtol=1e-4, atol=2e-5)
        assert np.any(gradient)
    assert optimised.description.outputs == plain.description.outputs


@pytest.mark.parametrize("name", ["w1", "w2"])
def test_parameters_that_the_optimizer_keeps_have_their_gradients(
    name: str, tmp_path: Path
) -> None:
    model = _net(TRANSFORMER)
    saved = _optimised(model, LEVELS.ORT_ENABLE_EXTENDED, tmp_path / "net.onnx")
    plain, optimised = portgrad.load(model.SerializeToString()), portgrad.load(saved)
    data = _data(plain)
    want, got = (net.gradient(data, wrt=[name])[name] for net in (plain, optimised))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


def test_a_layout_of_one_machine_is_refused_with_the_remedy(tmp_path: Path) -> None:
    saved = _optimised(_net(CONVOLUTIONS), LEVELS.ORT_ENABLE_ALL, tmp_path / "net.onnx")
    domains = {node.domain for node in onnx.load_from_string(saved).graph.node}
    if "com.microsoft.nchwc" not in domains:
        pytest.skip("the runtime has no layout of its own on this machine")
    with pytest.raises(InvalidNet, match="ORT_ENABLE_EXTENDED or less") as caught:
        portgrad.load(saved)
    assert caught.value.code == "unknown_domain"
