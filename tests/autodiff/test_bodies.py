"""Operators that are replaced by a registered body: names, leftovers, shapes, subgraphs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import portgrad
from portgrad.autodiff import gradient_graph, registry
from portgrad.autodiff.bodies import expand
from portgrad.errors import Unsupported

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>'
X = np.array([[0.1, -0.2], [0.3, 0.5]], np.float32)


def proto(text: str) -> bytes:
    return onnx.parser.parse_model(HEAD + text).SerializeToString()


def _made_up(outputs: dict[str, str], function: Any) -> Iterator[None]:
    """An operator of the tests' own, with a body."""
    formal = onnx.defs.OpSchema.FormalParameter
    schema = onnx.defs.OpSchema(
        "MadeUp",
        "com.microsoft",
        1,
        inputs=[formal("X", "tensor(float)")],
        outputs=[formal(name, kind) for name, kind in outputs.items()],
    )
    onnx.defs.register_schema(schema)
    registry.body("MadeUp", domain="com.microsoft")(function)
    yield
    del registry._ENTRIES["com.microsoft", "MadeUp"]
    onnx.defs.deregister_schema("MadeUp", 1, "com.microsoft")


@pytest.fixture
def halves() -> Iterator[None]:
    """An operator whose body gives one output, leaves one, and refuses one."""

    def body(op: Any, x: Any) -> Any:
        return op.Mul(x, 2.0), None, Unsupported("its noise has no slope")

    outputs = {"Y": "tensor(float)", "I": "tensor(int64)", "C": "tensor(float)"}
    yield from _made_up(outputs, body)


@pytest.fixture
def finite() -> Iterator[None]:
    """An operator whose output has a size that only the run can tell."""
    yield from _made_up({"Y": "tensor(float)"}, lambda op, x: op.Compress(x, op.Not(op.IsNaN(x))))


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
    text = "net (float[4] x) => (float[4] y, int64[M] i) { y, i, c = com.microsoft.MadeUp(x) }"
    net = ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(HEAD + text)))
    net.graph[0].outputs[2].type = ir.TensorType(ir.DataType.FLOAT)
    expand(net, list(net.graph))
    assert [n.op_type for n in net.graph] == ["Mul", "Identity", "MadeUp"]
    made = {value.name: value.producer().op_type for value in net.graph.outputs}  # type: ignore[union-attr]
    assert made == {"y": "Identity", "i": "MadeUp"}


def test_an_output_that_a_body_refuses_has_the_reason(halves: None) -> None:
    text = """net (float[4] x) => (float[4] z) {
        [odd] y, i, c = com.microsoft.MadeUp(x) z = Mul(y, c) }"""
    net = ir.from_proto(onnx.parser.parse_model(HEAD + text))
    for value in net.graph.all_nodes():
        for output in value.outputs:
            output.type = ir.TensorType(
                ir.DataType.INT64 if output.name == "i" else ir.DataType.FLOAT
            )
    with pytest.raises(Unsupported, match="its noise has no slope"):
        gradient_graph(net, wrt=["x"], of=["z"])
    assert gradient_graph(net, wrt=["x"], of=["y"]).warnings == ()


def test_symbols_that_inference_makes_up_inside_a_body_mean_nothing_outside(finite: None) -> None:
    text = "net (float[N] x) => (float[A] y) { y = com.microsoft.MadeUp(x) }"
    net = ir.from_proto(onnx.parser.parse_model(HEAD + text))
    expand(net, list(net.graph))
    [made] = [v for node in net.graph for v in node.outputs if node.op_type == "Compress"]
    assert made.shape is None or all(dim.value is None for dim in made.shape)  # type: ignore[union-attr]


def test_a_node_that_does_not_fit_its_operator_is_named() -> None:
    text = """net (float[N, 4] x) => (float[N, M] y) {
        [off] y = com.microsoft.FusedMatMul <transA = 1> (x, w) }"""
    model = onnx.parser.parse_model(HEAD + text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((3, 2), np.float32), "w"))
    net = ir.from_proto(model)
    net.graph.inputs[0].shape = ir.Shape([3, 4, 5, 6])
    with pytest.raises(Unsupported, match="do not fit together") as refused:
        expand(net, list(net.graph))
    assert refused.value.where == "off"


def test_a_net_may_have_names_like_those_of_bodies() -> None:
    head = "(float[2, 2] x) => (float[2, 2] y) "
    end = "[n] z = com.microsoft.BiasGelu(v, v1) y = Mul(z, x) }"
    start = "{ axes = Constant<value = int64[1] {0}>() v1 = ReduceSum<keepdims = 0>(x, axes) "
    plain = portgrad.load(proto(f"net {head}{start} v = Tanh(x) {end}"))
    graph = gradient_graph(plain._model, wrt=["x"], of=["y"]).model.graph
    inside = [v.name for node in graph for v in node.outputs if "n/body0/" in str(v.name)]
    assert inside
    for name in inside:
        model = onnx.load_from_string(proto(f"net {head}{start} v = Tanh(x) {end}"))
        for node in model.graph.node:
            node.input[:] = [str(name) if old == "v" else old for old in node.input]
            node.output[:] = [str(name) if old == "v" else old for old in node.output]
        found = portgrad.load(model.SerializeToString()).gradient(X, wrt=["x", str(name)])
        np.testing.assert_array_equal(found["x"], plain.gradient(X)["x"])
        np.testing.assert_array_equal(found[str(name)], plain.gradient(X, wrt="v")["v"])


def test_both_outputs_of_the_runtimes_root_mean_square_have_shapes() -> None:
    text = """net (float[N, 3, 4] x, float[4] s) => (float[N, 3, 4] y, float[N, 3, 1] r) {
        y, r = SimplifiedLayerNormalization(x, s) }"""
    found = portgrad.load(proto(text)).description.outputs
    assert [(port.dtype, port.shape) for port in found] == [
        ("float32", ("N", 3, 4)),
        ("float32", ("N", 3, 1)),
    ]


def test_a_scan_of_what_has_no_known_rank_is_named() -> None:
    text = """net (float[N, 2] x, int64[K] shape) => (float[A] y) {
        r = Reshape(x, shape)
        y = Scan <num_scan_inputs = 1,
                  body = b (float[M] i) => (float[M] o) { o = Exp(i) }> (r)
    }"""
    model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(HEAD + text))
    with pytest.raises(Unsupported, match="Scan node 'y'") as refused:
        gradient_graph(ir.from_proto(model), wrt=["x"], of=["y"])
    assert refused.value.where == "y"
