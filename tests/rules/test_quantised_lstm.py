"""DynamicQuantizeLSTM: the estimate is the gradient of an LSTM of the numbers behind its codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

import portgrad
from portgrad.errors import Unsupported

STRAIGHT: dict[str, Any] = {"quantized": "straight_through"}
LENGTH, BATCH, IN, H = 3, 2, 4, 3
RNG = np.random.default_rng(3)
X = RNG.standard_normal((LENGTH, BATCH, IN)).astype(np.float32)


def _nets(directions: int, channels: bool) -> tuple[portgrad.Net, portgrad.Net]:
    """The net, and one with an LSTM of the numbers."""
    direction = "bidirectional" if directions == 2 else "forward"
    weights, numbers = {}, {}
    for name, rows in (("w", IN), ("r", H)):
        codes = RNG.integers(-60, 60, (directions, rows, 4 * H)).astype(np.int8)
        size = (directions, 4 * H) if channels else (directions,)
        scale = RNG.uniform(0.005, 0.02, size).astype(np.float32)
        # The kernel wants zero points of 0 where each gate has a scale.
        zero = RNG.integers(-9, 9, size).astype(np.int8) * np.int8(not channels)
        wide = [t.reshape(directions, 1, -1).astype(np.float32) for t in (scale, zero)]
        weights |= {name: codes, f"{name}_scale": scale, f"{name}_zero": zero}
        numbers[name] = ((codes - wide[1]) * wide[0]).transpose(0, 2, 1).copy()
    rest = {
        "b": RNG.standard_normal((directions, 8 * H)).astype(np.float32) * np.float32(0.3),
        "h": RNG.standard_normal((directions, BATCH, H)).astype(np.float32) * np.float32(0.3),
        "c": RNG.standard_normal((directions, BATCH, H)).astype(np.float32),
    }
    first = ["x", "w", "r", "b", "", "h", "c"]
    quantised = [*first, "", "w_scale", "w_zero", "r_scale", "r_zero"]
    return (
        _net("DynamicQuantizeLSTM", quantised, weights | rest, direction, "com.microsoft"),
        _net("LSTM", first, numbers | rest, direction, ""),
    )


def _net(
    op: str, operands: list[str], weights: dict[str, np.ndarray], direction: str, domain: str
) -> portgrad.Net:
    names = ["y", "last", "cell"]
    node = helper.make_node(
        op, operands, names, domain=domain, hidden_size=H, direction=direction, clip=9.0
    )
    ports = [helper.make_tensor_value_info("x", 1, X.shape)]
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in names]
    held = [numpy_helper.from_array(w, name) for name, w in weights.items()]
    graph = helper.make_graph([node], "net", ports, outputs, held)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return portgrad.load(model.SerializeToString())


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("channels", [False, True])
def test_estimate(directions: int, channels: bool) -> None:
    quantised, plain = _nets(directions, channels)
    rounded, exact = quantised.evaluate(X), plain.evaluate(X)
    for name, y in exact.outputs.items():
        assert rounded[name].shape == y.shape
        np.testing.assert_allclose(rounded[name], y, atol=0.05)  # 8 bits in each of three steps
    assert quantised.description.outputs[0].shape == (LENGTH, directions, BATCH, H)
    targets = ["x", "b", "h", "c"]
    got = quantised.gradient(X, wrt=targets, **STRAIGHT)
    want = plain.gradient(X, wrt=targets)
    for name in targets:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-5, atol=1e-6)
        assert np.any(want[name])


def test_scales_have_gradients() -> None:
    quantised, plain = _nets(1, False)
    of_scale = quantised.gradient(X, wrt=["w_scale"], **STRAIGHT)["w_scale"]
    # A weight is its scale times a code: Euler's identity of what is linear in each.
    of_weight = plain.gradient(X, wrt=["w"])["w"]
    numbers = dict(plain.names.parameters)["w"].const_value.numpy()
    scale = dict(quantised.names.parameters)["w_scale"].const_value.numpy()
    np.testing.assert_allclose(of_scale * scale, np.vdot(of_weight, numbers), rtol=1e-4)


def test_without_the_estimator_it_is_refused() -> None:
    quantised, _ = _nets(1, False)
    with pytest.raises(Unsupported, match="straight_through"):
        quantised.gradient(X)
