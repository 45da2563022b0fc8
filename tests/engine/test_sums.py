"""Sums over rows are products with ones: the same sums, nearer to what they should be."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from portgrad.engine import sums
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import engine_net, random


def _kinds(port: str, total: str, text: str) -> list[str]:
    text = f"({port} x) => ({total} s) {{ {text} }}"
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    model = load(NetFiles(proto.SerializeToString()))
    sums.by_products(model.graph)
    return [node.op_type for node in model.graph if node.op_type != "Constant"]


OVER_ROWS = "a = Constant<value = int64[1] {0}>() s = ReduceSum<keepdims = 0>(x, a)"


@pytest.mark.parametrize(
    ("port", "total", "text", "kinds"),
    [
        ("float[N,4]", "float[4]", OVER_ROWS, ["Shape", "ConstantOfShape", "MatMul"]),
        ("float[64,4]", "float[4]", OVER_ROWS, ["MatMul"]),
        ("float[8,4]", "float[4]", OVER_ROWS, ["ReduceSum"]),
        ("float[64,4,3]", "float[4,3]", OVER_ROWS, ["ReduceSum"]),
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
