"""The straight-through estimator against the formula of fake quantisation, written in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import portgrad

F = onnx.TensorProto.FLOAT
STRAIGHT = {"quantized": "straight_through"}


@dataclass(frozen=True)
class Fake:
    """Fake quantisation, with scales already broadcast to x.

    The value is `(clamp(round(x / s) + z) - z) · s`. Rounding counts as the identity and the clamp
    as what it is, so that the derivative by x is 1 inside and 0 where it clamps, and that by s is
    round(x / s) - x / s inside and the bound where it clamps.
    """

    x: np.ndarray
    s: np.ndarray
    z: np.ndarray
    low: float
    high: float

    @property
    def inside(self) -> np.ndarray:
        code = np.round(self.x / self.s) + self.z
        return (code >= self.low) & (code <= self.high)

    @property
    def steps(self) -> np.ndarray:
        code = np.round(self.x / self.s) + self.z
        return np.clip(code, self.low, self.high) - self.z

    @property
    def by_scale(self) -> np.ndarray:
        return np.where(self.inside, self.steps - self.x / self.s, self.steps)


def _pair(
    x: np.ndarray,
    s: np.ndarray,
    z: np.ndarray,
    opset: int = 21,
    symbolic: bool = False,
    **attributes: Any,
) -> portgrad.Net:
    """x quantised and dequantised, times a constant that makes cotangents differ."""
    shape = [f"n{axis}" for axis in range(x.ndim)] if symbolic else x.shape
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantise", **attributes),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantise", **attributes),
        helper.make_node("Mul", ["d", "c"], ["y"], "weigh"),
    ]
    held = {"s": s, "z": z, "c": _weights(x)}
    graph = helper.make_graph(
        nodes,
        "pair",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return portgrad.load(model.SerializeToString())


def _weights(x: np.ndarray) -> np.ndarray:
    return (np.arange(x.size, dtype=np.float32).reshape(x.shape) - 3.0).astype(x.dtype)


def _data(*shape: int, width: float = 3.0) -> np.ndarray:
    return (width * np.random.default_rng(9).standard_normal(shape)).astype(np.float32)


def _spread(a: np.ndarray, x: np.ndarray, axis: int = 1, block_size: int = 0) -> np.ndarray:
    a = a.astype(np.float32)
    if block_size:
        return np.take(np.repeat(a, block_size, axis), range(x.shape[axis]), axis)
    if a.size == 1:
        return np.full(x.shape, a.item(), np.float32)
    return np.broadcast_to(np.expand_dims(a, tuple(range(1, x.ndim - axis % x.ndim))), x.shape)


def _summed(g: np.ndarray, s: np.ndarray, axis: int = 1, block_size: int = 0) -> np.ndarray:
    if block_size:
        edges = list(range(0, g.shape[axis], block_size))
        return np.add.reduceat(g, edges, axis)
    if s.size == 1:
        return g.sum().reshape(s.shape)
    return g.sum(tuple(a for a in range(g.ndim) if a != axis % g.ndim))


def _s(*values: float) -> np.ndarray:
    return np.asarray(values[0] if len(values) == 1 else values, np.float32)


INT4, UINT4, INT2 = ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2
PAIRS = {
    "int8": (_data(3, 4), _s(0.02), np.array(0, np.int8), {}),
    "int8-zero": (_data(3, 4), _s(0.02), np.array(-17, np.int8), {}),
    "uint8": (_data(3, 4), _s(0.015), np.array(100, np.uint8), {}),
    "int16": (_data(3, 4), _s(1e-4), np.array(5, np.int16), {}),
    "uint16": (_data(3, 4), _s(6e-5), np.array(40000, np.uint16), {}),
    "int4": (_data(3, 4), _s(0.3), np.array(1, INT4), {}),
    "uint4": (_data(3, 4), _s(0.3), np.array(9, UINT4), {}),
    "int2": (_data(3, 4), _s(1.1), np.array(0, INT2), {"opset": 25}),
    "one": (_data(3, 4), _s(0.02).reshape(1), np.array([4], np.int8), {}),
    "axis": (_data(3, 4), _s(0.01, 0.02, 0.03, 0.04), np.array([0, 9, -9, 2], np.int8), {}),
    "axis-0": (_data(3, 4), _s(0.01, 0.02, 0.03), np.array([0, 9, 200], np.uint8), {"axis": 0}),
    "axis-of-3": (_data(2, 3, 4), _s(0.01, 0.02, 0.03), np.array([0, 9, -9], np.int8),
                  {"axis": -2}),
    "blocks": (_data(2, 5), 0.01 * (1 + np.arange(6, dtype=np.float32).reshape(2, 3)),
               np.arange(6, dtype=np.int8).reshape(2, 3), {"block_size": 2}),
    "blocks-int4": (_data(4, 2), 0.2 * (1 + np.arange(4, dtype=np.float32).reshape(2, 2)),
                    np.arange(4).reshape(2, 2).astype(INT4), {"axis": 0, "block_size": 2}),
    "version-23": (_data(3, 4), _s(0.02), np.array(-17, np.int8), {"opset": 23}),
}  # fmt: skip


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_pair_has_the_gradients_of_fake_quantisation(pair: Any, symbolic: bool) -> None:
    x, s, z, given = pair
    layout = {name: value for name, value in given.items() if name != "opset"}
    net = _pair(x, s, z, symbolic=symbolic, **given)
    found = net.gradient(x, wrt=["x", "s"], outputs=True, **STRAIGHT)
    limits = np.iinfo(z.dtype) if z.dtype.kind in "iu" else ml_dtypes.iinfo(z.dtype)
    fake = Fake(x, _spread(s, x, **layout), _spread(z, x, **layout), limits.min, limits.max)
    assert 0 < fake.inside.sum() < x.size, "the data should meet both sides of the clamp"
    ct = _weights(x)
    np.testing.assert_allclose(found.outputs["y"], ct * fake.steps * fake.s, rtol=1e-6)
    np.testing.assert_allclose(found["x"], ct * fake.inside, rtol=1e-6)
    want = _summed(ct * fake.by_scale, s, **layout)
    np.testing.assert_allclose(found["s"], want, rtol=1e-4, atol=1e-4)  # x / s is about 100
    assert found.warnings == ()


def test_half_precision() -> None:
    dtype = np.float16  # the runtime quantises no bfloat16
    x, s, z = _data(3, 4).astype(dtype), np.asarray(0.02, dtype), np.array(5, np.int8)
    found = _pair(x, s, z).gradient(x, wrt=["x", "s"], **STRAIGHT)
    wide = x.astype(np.float32)
    fake = Fake(wide, _spread(s, wide), _spread(z, wide), -128, 127)
    ct = _weights(wide)
    assert (found["x"].dtype, found["s"].dtype) == (dtype, dtype)
    np.testing.assert_allclose(found["x"].astype(np.float32), ct * fake.inside, rtol=1e-2)
    want = (ct * fake.by_scale).sum()
    np.testing.assert_allclose(float(found["s"]), want, rtol=1e-2)


def test_narrow_floats_pass_what_they_hold() -> None:
    x = np.array([0.3, -20.0, 440.0, 460.0, -900.0], np.float32)
    z = np.array(0, ml_dtypes.float8_e4m3fn)
    found = _pair(x, _s(1.0), z).gradient(x, wrt=["x", "s"], **STRAIGHT)
    held = np.abs(x) <= 448.0
    ct = _weights(x)
    np.testing.assert_array_equal(found["x"], ct * held)
    steps = np.clip(x, -448.0, 448.0).astype(ml_dtypes.float8_e4m3fn).astype(np.float32)
    want = (ct * np.where(held, steps - x, steps)).sum()
    np.testing.assert_allclose(found["s"], want, rtol=1e-6)


def test_the_ends_of_the_range_pass() -> None:
    """What rounds to the greatest code is not clamped; half a step further it is."""
    x = np.array([127.0, 127.4, 127.6, -128.0, -128.4, -128.6], np.float32)
    found = _pair(x, _s(1.0), np.array(0, np.int8)).gradient(x, **STRAIGHT)
    np.testing.assert_array_equal(found["x"], _weights(x) * np.array([1, 1, 0, 1, 1, 0]))


def test_what_is_not_finite_is_clamped() -> None:
    x = np.array([np.inf, -np.inf, 1.0], np.float32)
    found = _pair(x, _s(0.3), np.array(0, np.int8)).gradient(x, wrt=["x", "s"], **STRAIGHT)
    np.testing.assert_array_equal(found["x"], [0.0, 0.0, -1.0])
    np.testing.assert_allclose(found["s"], -3 * 127 - 2 * -128 - (3 - 1 / 0.3), rtol=1e-5)


def test_dynamic_quantisation_is_that_of_its_scale() -> None:
    """y = (code - zero) · scale(x): 1 by x, and round(r) - r by the scale."""
    text = """<ir_version: 10, opset_import: ["": 21]> g (float[4] x) => (float[4] y)
    <float[4] c = {1, -2, 3, 5}> { q, s, z = DynamicQuantizeLinear(x)
      d = DequantizeLinear(q, s, z) y = Mul(c, d) }"""
    net = portgrad.load(onnx.parser.parse_model(text).SerializeToString())
    x, ct = np.array([0.31, -1.0, 2.0, 0.71], np.float32), np.array([1, -2, 3, 5], np.float32)
    s = np.float32(3.0 / 255.0)
    r = x / s
    of_scale = (ct * (np.round(r) - r)).sum() / 255.0
    want = ct + of_scale * np.array([0, -1, 1, 0])
    np.testing.assert_allclose(net.gradient(x, **STRAIGHT)["x"], want, rtol=1e-5)
    exact = net.gradient(x)
    steps = np.array([26, -85, 170, 60], np.float32)  # round(r), less the zero point 85
    want = (ct * steps).sum() / 255.0 * np.array([0, -1, 1, 0])
    np.testing.assert_allclose(exact["x"], want, rtol=1e-5)
    assert exact.warnings[0].startswith("DynamicQuantizeLinear node 'q'")
