"""Sums over rows are products with ones: the same sums, nearer to what they should be."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from portgrad.engine.rewrites import sums
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import engine_net, random


def _kinds(port: str, total: str, text: str) -> list[str]:
    text = f"({port} x) => ({total} s) {{ {text} }}"
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    model = load(NetFiles(proto.SerializeToString()))
    sums.by_products(model.graph)
    return [node.op_type for node in model.graph if node.op_type != "Constant"]


OVER_BOTH = "a = Constant<value = int64[2] {0, -2}>() s = ReduceSum<keepdims = 0>(x, a)"
FOLDED = "r = Constant<value = int64[2] {-1, 4}>() f = Reshape(x, r) "
OVER_ROWS = "a = Constant<value = int64[1] {0}>() s = ReduceSum<keepdims = 0>(x, a)"


@pytest.mark.parametrize(
    ("port", "total", "text", "kinds"),
    [
        ("float[N,4]", "float[4]", OVER_ROWS, ["Shape", "ConstantOfShape", "MatMul"]),
        ("float[64,4]", "float[4]", OVER_ROWS, ["MatMul"]),
        ("float[8,4]", "float[4]", OVER_ROWS, ["ReduceSum"]),
        ("float[64,4,3]", "float[4,3]", OVER_ROWS, ["ReduceSum"]),
        ("float[N,128,4]", "float[4]", OVER_BOTH, ["MatMul", "ReduceSum"]),
        ("float[N,127,4]", "float[4]", OVER_BOTH, ["ReduceSum"]),
        ("float[N,L,4]", "float[4]", OVER_BOTH, ["ReduceSum"]),
        ("float[2,N,128,4]", "float[N,4]", OVER_BOTH, ["ReduceSum"]),
        (
            "float[N,128,4]",
            "float[4]",
            FOLDED + OVER_ROWS.replace("x, a", "f, a"),
            ["Reshape", "MatMul", "ReduceSum"],
        ),
        (
            "float[N,2,4]",
            "float[4]",
            FOLDED + OVER_ROWS.replace("x, a", "f, a"),
            ["Reshape", "ReduceSum"],
        ),
        (
            "float[64,2,4]",
            "float[4]",
            FOLDED + OVER_ROWS.replace("x, a", "f, a"),
            ["Reshape", "MatMul"],
        ),
        ("double[64,4]", "double[4]", OVER_ROWS, ["ReduceSum"]),
        ("float[64,4]", "float[64]", OVER_ROWS.replace("{0}", "{1}"), ["ReduceSum"]),
        ("float[64,4]", "float[1,4]", OVER_ROWS.replace("s = 0", "s = 1"), ["ReduceSum"]),
    ],
)
def test_which_sums_become_products(port: str, total: str, text: str, kinds: list[str]) -> None:
    assert _kinds(port, total, text) == kinds


@pytest.mark.parametrize("rows", [0, 1, 5, 4096])
def test_a_bias_has_its_gradient_to_rounding(rows: int) -> None:
    weights = {"w": random(3, 50), "b": random(50, seed=1)}
    net = engine_net("(float[N,3] x) => (float[N,50] y) { z = Gemm(x, w, b) y = Exp(z) }", weights)
    x = random(rows, 3, seed=2)
    found = net.gradient(x, wrt=["b"])["b"]
    exact = np.exp(x.astype(np.float64) @ weights["w"] + weights["b"]).sum(0)
    np.testing.assert_allclose(found, exact, rtol=5e-7 * max(1, rows) ** 0.25, atol=0)


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_a_bias_of_a_stack_has_its_gradient_to_rounding(batch: int) -> None:
    weights = {"w": random(3, 50), "b": random(50, seed=1)}
    text = "(float[N,200,3] x) => (float[N,200,50] y) { m = MatMul(x, w) z = Add(m, b) y = Exp(z) }"
    net = engine_net(text, weights)
    x = random(batch, 200, 3, seed=2)
    found = net.gradient(x, wrt=["b"])["b"]
    exact = np.exp(x.astype(np.float64) @ weights["w"] + weights["b"]).sum((0, 1))
    np.testing.assert_allclose(found, exact, rtol=2e-6, atol=0)


def test_ones_are_told_from_a_weight_that_has_their_name() -> None:
    text = 'y = Mul(x, "64-ones-for-rows") s = ReduceSum<keepdims = 0>(x, a)'
    weights = {"64-ones-for-rows": random(64, 1), "a": np.array([0])}
    net = engine_net(f"(float[64,4] x) => (float[4] s, float[64,4] y) {{ {text} }}", weights)
    x = random(64, 4, seed=1)
    np.testing.assert_allclose(net.evaluate(x)["s"], x.sum(0), rtol=1e-5, atol=1e-5)
