"""Gradients of depthwise kernels: in the runtime's blocks of channels, against double precision."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from onnx import numpy_helper, parser

import portgrad
from portgrad.autodiff import gradient_graph
from portgrad.engine.rewrites import channels
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

# A net's image without its batch, kernel, attributes, and whether blocks serve it.
NETS: dict[str, tuple[list[int], list[int], str, bool]] = {
    "same": ([16, 9, 8], [3, 3], "pads = [1, 1, 1, 1]", True),
    "unpadded": ([16, 5, 6], [3, 2], "pads = [0, 0, 0, 0]", True),
    "strides": ([32, 7, 7], [3, 3], "strides = [2, 2], pads = [1, 1, 1, 1]", True),
    "strides-leave-rows-out": ([16, 9, 8], [3, 2], "strides = [2, 2], pads = [0, 0, 0, 1]", True),
    "unlike-strides": ([16, 12, 11], [5, 3], "strides = [3, 2], dilations = [1, 2]", True),
    "dilations": ([16, 12, 11], [3, 3], "dilations = [2, 3], pads = [2, 0, 1, 3]", True),
    "pads-beyond-kernel": ([16, 6, 6], [3, 3], "pads = [3, 3, 3, 3]", True),
    "auto": ([16, 8, 8], [3, 3], 'auto_pad = "SAME_UPPER", strides = [2, 2]', True),
    "many-windows": ([16, 22, 21], [3, 3], "pads = [1, 1, 1, 1]", True),
    "stride-beyond-kernel": ([16, 8, 8], [1, 1], "strides = [2, 2]", False),
    "rows-left-out": ([16, 9, 10], [2, 2], "strides = [3, 4]", True),
    "part-of-a-block": ([24, 6, 6], [3, 3], "pads = [1, 1, 1, 1]", False),
}
_RNG = np.random.default_rng(11)


def _model(name: str) -> bytes:
    (channels, height, width), kernel, attributes, _ = NETS[name]
    net = parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 21]> net (float[N, {channels}, {height}, {width}] x)'
        f" => (float[N, {channels}, a, b] y) {{ t = Tanh(x)"
        f" c = Conv<group = {channels}, {attributes}>(t, w) y = Tanh(c) }}"
    )
    weight = _RNG.standard_normal((channels, 1, *kernel)).astype(np.float32)
    net.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    return net.SerializeToString()


def _image(name: str, examples: int) -> dict[str, np.ndarray]:
    return {"x": _RNG.standard_normal((examples, *NETS[name][0])).astype(np.float32)}


@pytest.mark.parametrize("examples", [1, 3])
@pytest.mark.parametrize("name", NETS)
def test_the_gradient_is_that_of_the_rule(name: str, examples: int) -> None:
    net, data = portgrad.load(_model(name)), _image(name, examples)
    got = net.gradient(data, wrt=["w", "x"])
    want = net.gradient(data, wrt=["w", "x"], precision="float64")
    for key, gradient in want.items():
        # Sums of up to a thousand products of order one in float32.
        np.testing.assert_allclose(got[key], gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
@pytest.mark.parametrize("name", NETS)
def test_blocks_take_the_place_of_products(name: str) -> None:
    model = gradient_graph(load(NetFiles(_model(name))), wrt=["w"], of=["y"]).model
    channels.say(model)
    left = {node.op_type for node in model.graph}
    assert ("Scan" in left, "ReduceSum" in left) == (NETS[name][-1], not NETS[name][-1])


def test_no_examples_give_zeros() -> None:
    net = portgrad.load(_model("same"))
    assert not net.gradient(_image("same", 0), wrt=["w"])["w"].any()


def test_second_derivatives_go_through() -> None:
    net, data = portgrad.load(_model("strides")), _image("strides", 2)
    tangents = {"w": np.ones((32, 1, 3, 3), np.float32)}
    got, want = (
        net.hvp(data, tangents=tangents, wrt=["w", "x"], precision=precision)
        for precision in (None, "float64")
    )
    for key, product in want.items():
        np.testing.assert_allclose(got[key], product, rtol=1e-3, atol=1e-3)
