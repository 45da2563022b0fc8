"""Operators of ai.onnx.ml in subgraphs and in functions."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import portgrad

MACHINE = """classlabels_ints = [0, 1, 2], vectors_per_class = [1, 2, 1], kernel_type = "RBF",
    kernel_params = [0.5, 0.0, 3.0], rho = [0.1, -0.2, 0.3], prob_a = [-1.0, -1.5, -0.5],
    prob_b = [0.1, 0.0, -0.1], coefficients = [1.0, -0.5, 0.25, -1.0, 0.5, 1.0, -1.5, 0.75],
    support_vectors = [1.0, 0.0, 0.5, -1.0, -0.5, 1.0, 0.25, 0.5]"""
TEXT = """<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3{more}]>
net (float[N, 2] x) => (float[N, 3] y) {{ {body} }} {function}"""
CALL = "label, {y} = ai.onnx.ml.SVMClassifier<" + MACHINE + ">({x})"

PLAIN = CALL.format(x="x", y="y")
BRANCH = (
    "zero = Constant<value_int = 0>() count = Size(x) some = Greater(count, zero) "
    f"y = If(some) <then_branch = g () => (float[N, 3] t) {{ {CALL.format(x='x', y='t')} }}, "
    f"else_branch = h () => (float[N, 3] e) {{ two = Add(x, x) {CALL.format(x='two', y='e')} }}>"
)
SCAN = (
    "y = Scan<num_scan_inputs = 1, body = g (float[2] row) => (float[3] p) { "
    f"{CALL.format(x='row', y='many')} axis = Constant<value_ints = [0]>() "
    "p = Squeeze(many, axis) }>(x)"
)
FUNCTION = (
    '<domain: "f", opset_import: ["" : 21, "ai.onnx.ml" : 3]> Likely (a) => (b) '
    f"{{ {CALL.format(x='a', y='b')} }}"
)


def _gradient(body: str, more: str = "", function: str = "") -> np.ndarray:
    text = TEXT.format(body=body, more=more, function=function)
    net = portgrad.load(onnx.parser.parse_model(text).SerializeToString(), threads=1)
    x = np.array([[0.5, -0.5], [1.0, 0.25], [-1.0, 2.0]], np.float32)
    return net.gradient(x, output_gradients={"y": [1.0, 0.0, 0.0]})["x"]


@pytest.mark.parametrize(
    "inside",
    [(BRANCH,), (SCAN,), ("y = f.Likely(x)", ', "f" : 1', FUNCTION)],
    ids=["branch", "scan", "function"],
)
def test_a_machine_inside_has_the_gradient_of_one_outside(inside: tuple[str, ...]) -> None:
    wanted = _gradient(PLAIN)
    assert np.abs(wanted).max() > 0.01
    np.testing.assert_allclose(_gradient(*inside), wanted, rtol=1e-5, atol=1e-7)
