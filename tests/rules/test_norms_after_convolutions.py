"""Convolutions with a batch normalisation behind them, whose gradients go together.

The factor of the norm goes into the kernel, and the gradient of its scale is made of the kernel's.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import portgrad
from portgrad.autodiff import gradient_graph
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

_NORM = "y = BatchNormalization<epsilon = 0.01>(c, scale, shift, mean, variance)"
# The same, said in operators that know nothing of convolutions.
_SPELLED = """epsilon = Constant<value = float {0.01}>() axes = Constant<value_ints = [AXES]>()
    wide = Add(variance, epsilon) root = Sqrt(wide) slope = Div(scale, root)
    m = Unsqueeze(mean, axes) s = Unsqueeze(slope, axes) b = Unsqueeze(shift, axes)
    d = Sub(c, m) n = Mul(d, s) y = Add(n, b)"""
_PLAIN, _BIASED = "(x, w)", "(x, w, bias)"
CONVOLUTIONS: dict[str, tuple[str, list[int], list[int]]] = {
    "plain": (f"Conv{_PLAIN}", [2, 3, 5, 4], [4, 3, 3, 2]),
    "bias": (f"Conv{_BIASED}", [2, 3, 5, 4], [4, 3, 3, 2]),
    "blocks": (f"Conv<pads = [1, 1, 1, 1]>{_BIASED}", [2, 16, 4, 4], [5, 16, 3, 3]),
    "1x1": (f"Conv{_BIASED}", [2, 16, 3, 3], [5, 16, 1, 1]),
    "1d": (f"Conv<strides = [2]>{_BIASED}", [2, 3, 8], [4, 3, 3]),
    "depthwise": (f"Conv<group = 4>{_BIASED}", [2, 4, 5, 5], [4, 1, 3, 3]),
    "groups": (f"Conv<group = 2>{_PLAIN}", [2, 4, 5, 5], [6, 2, 3, 3]),
    "same": (f'Conv<auto_pad = "SAME_UPPER">{_BIASED}', [2, 3, 5, 4], [4, 3, 3, 2]),
    "transposed": (f"ConvTranspose{_BIASED}", [2, 4, 3, 3], [4, 4, 2, 2]),
}
_PARAMETERS = ["w", "bias", "scale", "shift", "mean", "variance"]


def _net(name: str, norm: str, outputs: str = "y") -> onnx.ModelProto:
    text, x, w = CONVOLUTIONS[name]
    axes = ", ".join(map(str, range(1, len(x) - 1)))
    dims = ", ".join(["N", *map(str, x[1:])])
    ports = ", ".join(f"float[{', '.join('abcdef'[: len(x)])}] {port}" for port in outputs.split())
    body = f"c = {text} {norm.replace('AXES', axes)}"
    net = parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 21]> net (float[{dims}] x) => ({ports}) {{ {body} }}'
    )
    rng = np.random.default_rng(4)
    channels = w[1] if "Transpose" in text else w[0]
    for parameter in _PARAMETERS:
        shape = w if parameter == "w" else [channels]
        array = rng.standard_normal(shape).astype(np.float32)
        array = np.abs(array) + 0.5 if parameter == "variance" else array
        if parameter != "bias" or "bias" in text:
            net.graph.initializer.append(numpy_helper.from_array(array, parameter))
    return net


def _data(name: str) -> dict[str, np.ndarray]:
    _, x, _ = CONVOLUTIONS[name]
    return {"x": np.random.default_rng(5).standard_normal(x).astype(np.float32)}


def _pair(name: str) -> list[portgrad.Net]:
    return [portgrad.load(_net(name, norm).SerializeToString()) for norm in (_NORM, _SPELLED)]


def _seed(net: portgrad.Net, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    shape = net.evaluate(data)["y"].shape
    return {"y": np.random.default_rng(6).standard_normal(shape).astype(np.float32)}


@pytest.mark.parametrize("wrt", ["all", ["scale", "variance"], ["x", "w"]], ids=str)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_gradient_is_that_of_the_norm_spelled_out(name: str, wrt: str | list[str]) -> None:
    net, spelled = _pair(name)
    data = _data(name)
    seed = _seed(net, data)
    got, want = (
        one.gradient(data, wrt=wrt, output_gradients=seed, precision="float64")
        for one in (net, spelled)
    )
    for key, gradient in want.items():
        np.testing.assert_allclose(got[key], gradient, rtol=1e-9, atol=1e-9)  # sums of 1e-16 each


@pytest.mark.parametrize("name", ["bias", "blocks", "depthwise"])
def test_second_derivatives_and_examples_too(name: str) -> None:
    data = _data(name)
    found = []
    for net in _pair(name):
        seed = _seed(net, data)
        each = net.gradient(data, wrt="all", output_gradients=seed, reduction="per_example")
        tangents = {"x": data["x"], "w": np.ones(CONVOLUTIONS[name][2], np.float32)}
        curved = net.hvp(data, tangents=tangents, output_gradients=seed, precision="float64")
        found.append(({k: np.asarray(v) for k, v in each.items()}, dict(curved.items())))
    (each, curved), (each_spelled, curved_spelled) = found
    for key, gradient in each_spelled.items():
        # float32: sums of a few dozen products of order one.
        np.testing.assert_allclose(each[key], gradient, rtol=1e-4, atol=1e-4)
    for key, product in curved_spelled.items():
        np.testing.assert_allclose(curved[key], product, rtol=1e-9, atol=1e-9)


def _operators(name: str, wrt: list[str], outputs: str = "y") -> Counter[str]:
    model = load(NetFiles(_net(name, _NORM, outputs).SerializeToString()))
    graph = gradient_graph(model, wrt=wrt, of=["y"], outputs=outputs.split())
    return Counter(node.op_type for node in graph.model.graph)


def test_the_norm_adds_no_product_and_nothing_reads_what_it_norms() -> None:
    alone, whole = _operators("blocks", ["x", "w"]), _operators("blocks", ["x", *_PARAMETERS])
    assert alone["MatMul"] == whole["MatMul"] == 1
    assert alone["Conv"] == whole["Conv"] == 2
    assert _operators("blocks", ["scale"])["MatMul"] == 0  # it would cost more than reading c
