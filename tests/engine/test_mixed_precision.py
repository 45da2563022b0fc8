"""Nets in half precision and nets that mix dtypes, as autocast exports them, through the engine."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import portgrad

HALVES = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
# A few roundings of 2^-11 and 2^-8.
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2}
_RNG = np.random.default_rng(29)
X = _RNG.standard_normal((4, 6)).astype(np.float32)
WEIGHT = (_RNG.standard_normal((6, 5)) / 2).astype(np.float32)
BIAS = _RNG.standard_normal(5).astype(np.float32)


def net(text: str, **weights: np.ndarray) -> portgrad.Net:
    proto = onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 21]> net ' + text)
    proto.graph.initializer.extend(numpy_helper.from_array(w, n) for n, w in weights.items())
    return portgrad.load(proto.SerializeToString(), threads=1)


# Products in half precision, what is sensitive in float32; H is the half's number.
AUTOCAST = """(float[N, 6] x) => (float[N, 5] y) {
    xh = Cast<to = H>(x) wh = Cast<to = H>(w) bh = Cast<to = H>(b)
    product = MatMul(xh, wh) sum = Add(product, bh) h = Relu(sum) wide = Cast<to = 1>(h)
    y = Softmax(wide) }"""


@pytest.mark.parametrize("half", HALVES)
def test_gradients_through_autocast(half: str) -> None:
    number = str(onnx.helper.np_dtype_to_tensor_dtype(HALVES[half]))
    seed = {"y": _RNG.standard_normal((4, 5)).astype(np.float32)}
    found, exact = (
        net(AUTOCAST.replace("= H", f"= {to}"), w=WEIGHT, b=BIAS).gradient(
            X, wrt=["x", "w", "b", "wide", "product"], output_gradients=seed
        )
        for to in (number, "1")
    )
    for name, want in exact.items():
        assert found[name].dtype == (HALVES[half] if name == "product" else np.float32)
        atol = TOLERANCE[half] * float(np.abs(want).max())
        np.testing.assert_allclose(found[name].astype(np.float32), want, atol=atol, err_msg=name)


LAYERS = """(T[N, 6] x) => (T[N, 5] y) {
    sum = Gemm(x, w, b) n = LayerNormalization(sum, b, b) g = Gelu(n)
    y = If(yes) <then_branch = t () => (T[A, B] p) { p = Sigmoid(g) },
                 else_branch = e () => (T[C, D] q) { q = Neg(g) }> }"""


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("yes", [True, False])
def test_nets_in_half_precision(half: str, yes: bool) -> None:
    results = []
    for name, dtype in ((half, HALVES[half]), ("float", np.dtype(np.float32))):
        weights = {"w": WEIGHT.astype(dtype), "b": BIAS.astype(dtype), "yes": np.array(yes)}
        given = net(LAYERS.replace("T[", f"{name}["), **weights)
        results.append(given.value_and_gradient(X.astype(dtype), wrt="all"))
    (outputs, gradients), (exact_outputs, exact) = results
    assert outputs["y"].dtype == HALVES[half]
    for name, want in {**exact, **exact_outputs}.items():
        got = {**gradients, **outputs}[name]
        assert got.dtype == HALVES[half]
        atol = 4 * TOLERANCE[half] * (1.0 + float(np.abs(want).max()))
        np.testing.assert_allclose(got.astype(np.float32), want, atol=atol, err_msg=name)


def test_every_value_inside_is_rounded() -> None:
    """256 + 1 is 256 in bfloat16, also twice. (In float16 the runtime itself keeps more.)"""
    given = net("(bfloat16[2] x) => (bfloat16[2] y) { h = Add(x, one) y = Add(h, one) }",
                one=np.ones(1, ml_dtypes.bfloat16))  # fmt: skip
    found = given.evaluate(np.full(2, 256, ml_dtypes.bfloat16))
    np.testing.assert_array_equal(found["y"].astype(np.float32), 256)


def test_sums_at_equal_places_in_half_precision() -> None:
    """The runtime has such kernels, which refuse."""
    for half, dtype in HALVES.items():
        given = net(f"({half}[3] x, {half}[2] u) => ({half}[3] y) "
                    '{ y = ScatterElements<reduction = "add">(x, i, u) }',
                    i=np.array([1, 1]))  # fmt: skip
        data = {"x": np.array([1, 2, 4], dtype), "u": np.array([8, 16], dtype)}
        outputs, gradients = given.value_and_gradient(data)
        np.testing.assert_array_equal(outputs["y"].astype(np.float32), [1, 26, 4])
        np.testing.assert_array_equal(gradients["u"].astype(np.float32), [1, 1])
