"""Operators that are replaced by a registered body: names, leftovers, shapes, subgraphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import portgrad
from portgrad.autodiff import registry
from portgrad.autodiff.bodies import expand
from portgrad.errors import Unsupported
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>'
X = np.array([[0.1, -0.2], [0.3, 0.5]], np.float32)


def proto(text: str) -> bytes:
    return onnx.parser.parse_model(HEAD + text).SerializeToString()


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unique of the runtime, with a body that gives one output, refuses one and leaves one."""
    monkeypatch.setitem(registry._ENTRIES, ("com.microsoft", "Unique"), [])

    @registry.body("Unique", domain="com.microsoft")
    def unique(op: Any, x: Any) -> Any:
        return op.Mul(x, 2.0), None, Unsupported("counts are counted")


def test_a_net_of_the_runtimes_operators_has_shapes_and_a_gradient() -> None:
    text = "net (float[N, 2] x) => (float[N, 2] y) { a = com.microsoft.FastGelu(x) y = Exp(a) }"
    net = portgrad.load(proto(text))
    assert net.description.outputs[0].shape == ("N", 2)
    step = 1e-3
    ahead, behind = (net.evaluate(X + h)["y"].astype(np.float64) for h in (step, -step))
    np.testing.assert_allclose(net.gradient(X)["x"], (ahead - behind) / (2 * step), rtol=2e-3)


def test_the_node_and_its_operands_keep_their_names() -> None:
    text = (
        "net (float[N, 2] x) => (float[N, 2] y) { [act] a = com.microsoft.FastGelu(x) y = Exp(a) }"
    )
    gradient = portgrad.load(proto(text)).gradient(X, wrt=[["act", "X"], ["act", "Y"]])
    assert gradient.targets == ("x", "a")


def test_a_body_is_expanded_inside_a_branch() -> None:
    text = """net (bool b, float[2, 2] x) => (float[2, 2] y) {
        y = If(b) <
            then_branch = yes () => (float[2, 2] p) { p = com.microsoft.QuickGelu(x) },
            else_branch = no () => (float[2, 2] q) { q = Neg(x) }
        >
    }"""
    gradient = portgrad.load(proto(text)).gradient({"b": np.array(True), "x": X})["x"]
    s = 1 / (1 + np.exp(-1.702 * X.astype(np.float64)))
    np.testing.assert_allclose(gradient, s + X * 1.702 * s * (1 - s), rtol=1e-5)


def test_outputs_that_a_body_leaves_are_computed_by_the_node_itself(halves: None) -> None:
    text = "net (float[4] x) => (float[M] y, int64[M] i) { y, i, c = com.microsoft.Unique(x) }"
    net = ir.from_proto(onnx.parser.parse_model(HEAD + text))
    [node] = list(net.graph)
    expand(net, [node])
    assert [n.op_type for n in net.graph] == ["Mul", "Identity", "Unique"]
    assert [(v.name, v.producer().op_type) for v in net.graph.outputs] == [
        ("y", "Identity"),
        ("i", "Unique"),
    ]


def test_an_output_that_a_body_refuses_has_the_reason(halves: None) -> None:
    text = """net (float[4] x) => (float[M] z) {
        y, i, c = com.microsoft.Unique(x) d = Cast<to = 1>(c) z = Mul(y, d) }"""
    assert portgrad.load(proto(text)).description.inputs[0].differentiable


def test_symbols_that_inference_makes_up_inside_a_body_mean_nothing_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry._ENTRIES, ("com.microsoft", "ExpandDims"), [])

    @registry.body("ExpandDims", domain="com.microsoft")
    def cut(op: Any, x: Any, axis: Any) -> Any:
        return op.Compress(x, op.Not(op.IsNaN(x)))

    text = """net (float[N] x, float[M] z) => (float[A] y) {
        a = Compress(z, b) c = com.microsoft.ExpandDims(x, axis) y = Add(a, c) }"""
    model = onnx.parser.parse_model(HEAD + text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([True]), "b"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0, np.int32), "axis"))
    net = load(NetFiles(model.SerializeToString()))
    expand(net, [node for node in net.graph if node.op_type == "ExpandDims"])
    made = next(
        v
        for node in net.graph
        for v in node.outputs
        if node.op_type == "Compress" and v.name != "a"
    )
    assert made.shape is None or [d.value for d in made.shape] == [None]
