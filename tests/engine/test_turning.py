"""Operands that a product turns are turned beforehand where that pays: the same numbers."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.engine.rewrites import turning
from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import engine_net, random

PRODUCT = "y = Gemm<transA = 1>(a, b)"
AND_TURNED = "c = Gemm<transA = 1>(a, b) y = Transpose(c)"
AND_LEFT = AND_TURNED.replace("e(c)", "e<perm = [0, 1]>(c)")
MADE = ["Unsqueeze", "Transpose", "Reshape", "MatMul"]


def _model(a: str, b: str, text: str, dtype: str = "float") -> ir.Model:
    text = f"({dtype}[{a}] a, {dtype}[{b}] b) => ({dtype}[P,Q] y) {{ {text} }}"
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    return load(NetFiles(proto.SerializeToString()))


def _kinds(model: ir.Model) -> list[str]:
    turning.beforehand(model.graph)
    return [node.op_type for node in model.graph if node.op_type != "Constant"]


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        ("127,8", "127,512", PRODUCT),
        ("N,8", "N,512", PRODUCT),
        ("128,8", "128,511", PRODUCT),
        ("128,M", "128,512", PRODUCT),
        ("8,128", "128,512", PRODUCT.replace("transA = 1", "transA = 0")),
        ("128,8", "512,128", PRODUCT.replace("1>", "1, transB = 1>")),
        ("128,8", "128,512", PRODUCT.replace("1>", "1, alpha = 2.0>")),
        ("128,8", "128,512", "c = Constant<value = float {1}>() y = Gemm<transA = 1>(a, b, c)"),
    ],
)
def test_products_that_are_left(a: str, b: str, text: str) -> None:
    assert _kinds(_model(a, b, text)) == ["Gemm"]


def test_doubles_are_left() -> None:
    assert _kinds(_model("128,8", "128,512", PRODUCT, "double")) == ["Gemm"]


@pytest.mark.parametrize(
    ("columns", "text", "kinds"),
    [
        ((8, 512), PRODUCT, MADE),
        ((512, 512), AND_TURNED, MADE),
        ((512, 8), AND_TURNED, MADE),
        ((8, 512), AND_TURNED, [*MADE, "Transpose"]),
        ((512, 512), AND_LEFT, [*MADE, "Transpose"]),
    ],
)
def test_operands_that_are_turned(columns: tuple[int, int], text: str, kinds: list[str]) -> None:
    a, b = (random(128, count, seed=count) for count in columns)
    model = _model(f"128,{columns[0]}", f"128,{columns[1]}", text)
    assert _kinds(model) == kinds
    found = Session(model, Weights(model), 1).run({"a": a, "b": b})[0]
    expected = a.T.astype(np.float64) @ b
    expected = expected.T if text == AND_TURNED else expected
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_what_two_products_turn_is_turned_once() -> None:
    text = "c = Gemm<transA = 1>(a, b) d = Neg(b) e = Gemm<transA = 1>(a, d) y = Add(c, e)"
    assert _kinds(_model("128,8", "128,512", text)) == [*MADE, "Neg", "MatMul", "Add"]


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_weights_have_their_gradients_to_rounding(batch: int) -> None:
    text = "(float[N,128,16] x) => (float[N,128,512] y) { p = MatMul(x, v) q = MatMul(x, w) "
    weights = {name: random(16, 512, seed=seed) for seed, name in enumerate("vw")}
    net = engine_net(text + "y = Mul(p, q) }", weights)
    x = random(batch, 128, 16, seed=3)
    found = net.gradient(x, wrt=["v", "w"])
    rows = x.reshape(-1, 16).astype(np.float64)
    np.testing.assert_allclose(found["v"], rows.T @ (rows @ weights["w"]), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found["w"], rows.T @ (rows @ weights["v"]), rtol=1e-4, atol=1e-3)
