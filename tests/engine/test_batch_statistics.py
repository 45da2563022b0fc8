"""Nets whose file trains a BatchNormalization: nothing that a call is given is written over."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import portgrad

RNG = np.random.default_rng(4)
X = RNG.standard_normal((5, 3, 2))
SCALE, BIAS = np.array([1.0, -2.0, 0.5]), np.array([0.1, 0.2, 0.3])
# Large enough that a session gets it from the net's own memory, beside small ones.
CHANNELS = {"few": 3, "many": 3000}


def _net(dtype: str, channels: int, *, ports: bool) -> tuple[portgrad.Net, dict[str, np.ndarray]]:
    kind = {"float": np.float32, "double": np.float64, "float16": np.float16}[dtype]
    arrays = {
        "s": np.resize(SCALE, channels).astype(kind),
        "b": np.resize(BIAS, channels).astype(kind),
        "m": np.resize(BIAS, channels).astype(kind),
        "v": np.resize(SCALE**2, channels).astype(kind),
    }
    given = "".join(f", {dtype}[{channels}] {name}" for name in arrays) if ports else ""
    model = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["": 21]>
        net ({dtype}[n, {channels}, 2] x{given})
            => ({dtype}[n, {channels}, 2] y, {dtype}[{channels}] old) {{
            y, p, q = BatchNormalization<training_mode = 1, epsilon = 0.125>(x, s, b, m, v)
            old = Add(m, v)
        }}"""
    )
    if not ports:
        model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in arrays.items())
    x = np.resize(X, (5, channels, 2)).astype(kind)
    return portgrad.load(model.SerializeToString()), {"x": x, **(arrays if ports else {})}


@pytest.mark.parametrize("dtype", ["float", "double", "float16"])
@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
@pytest.mark.parametrize("ports", [True, False], ids=["ports", "parameters"])
def test_running_statistics_are_not_written_over(dtype: str, channels: int, ports: bool) -> None:
    net, data = _net(dtype, channels, ports=ports)
    before = {name: array.copy() for name, array in data.items()}
    first = net.evaluate(data)
    net.gradient(data, wrt="all")
    again = net.evaluate(data)
    for name in ("y", "old"):
        np.testing.assert_array_equal(first[name], again[name])
    for name, array in data.items():
        np.testing.assert_array_equal(array, before[name])
    x = data["x"].astype(np.float64)
    mean, variance = (f(x, axis=(0, 2), keepdims=True) for f in (np.mean, np.var))
    scale, bias = (np.resize(p, channels)[:, None] for p in (SCALE, BIAS))
    expected = (x - mean) / np.sqrt(variance + 0.125) * scale + bias
    tolerance = {"float": 1e-5, "double": 1e-12, "float16": 4e-3}[dtype]  # a few last places
    np.testing.assert_allclose(first["y"], expected, rtol=tolerance, atol=tolerance)


def test_the_gradient_goes_through_the_statistics() -> None:
    net, data = _net("double", 3, ports=True)
    seed = RNG.standard_normal(X.shape)
    found = net.gradient(data, wrt="inputs", of=["y"], output_gradients={"y": seed})
    for name in ("x", "s", "b"):
        v = RNG.standard_normal(data[name].shape)
        moved = [{**data, name: data[name] + step * v} for step in (1e-5, -1e-5)]
        ahead, behind = (np.vdot(net.evaluate(at)["y"], seed) for at in moved)
        assert abs(np.vdot(found[name], v) - (ahead - behind) / 2e-5) < 1e-7
    assert not found["m"].any()
    assert not found["v"].any()
