"""Converting whole nets: what is refused, and what survives besides the operators' meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from portgrad.errors import InvalidNet
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load


def model(text: str, opset: int, more: str = "") -> onnx.ModelProto:
    header = f'<ir_version: 8, opset_import: ["" : {opset}{more}]> net '
    return onnx.parser.parse_model(header + text)


def loaded(proto: onnx.ModelProto) -> ir.Model:
    return load(NetFiles(proto.SerializeToString()))


def run(proto: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(proto.SerializeToString(), options)
    return session.run(None, feeds)


BN = "float[2] s, float[2] b, float[2] m, float[2] v"

REFUSED = [
    ("cubic before 11", 10, "(float[1, 2, 4, 6] x, float[4] s) => (float[A, B, C, D] y)"
     "{ [bad] y = Resize<mode = \"cubic\">(x, s) }"),
    ("another mode of Upsample", 9, "(float[1, 2, 4, 6] x, float[4] s) => (float[A, B, C, D] y)"
     "{ [bad] y = Upsample<mode = \"cubic\">(x, s) }"),
    ("statistics of each pixel", 6, f"(float[1, 2, 4, 6] x, {BN}) => (float[1, 2, 4, 6] y)"
     "{ [bad] y = BatchNormalization<spatial = 0>(x, s, b, m, v) }"),
    ("statistics to be updated", 7, f"(float[1, 2, 4, 6] x, {BN}) => (float[1, 2, 4, 6] y)"
     "{ [bad] y, p, q, r, t = BatchNormalization(x, s, b, m, v) }"),
    ("a mask that is read", 10, "(float[3] x) => (float[3] y, bool[3] m)"
     "{ [bad] y, m = Dropout(x) }"),
    ("Tile before 6", 5, "(float[3] x, float n, float a) => (float[N] y)"
     "{ [bad] y = Tile(x, n, a) }"),
    ("Split of 1", 1, "(float[3] x, float[2] n) => (float[M] y, float[N] z)"
     "{ [bad] y, z = Split(x, n) }"),
    ("an exponent that is not whole", 1, "(float[1, 2, 4] x) => (float[1, 2, 1] y)"
     "{ [bad] y = GlobalLpPool<p = 1.5>(x) }"),
    ("ScaledTanh without its factors", 8, "(float[3] x) => (float[3] y)"
     "{ [bad] y = ScaledTanh(x) }"),
    ("an axis without rank", 6, "(float[3] b, float[2, 3] a) => (float[2, 3] y) { "
     "i = If(z) <then_branch = t () => (float[2, 3] p) { p = Identity(a) },"
     " else_branch = e () => (float[3] q) { q = Identity(b) }> "
     "[bad] y = Add<broadcast = 1, axis = 0>(i, b) }"),
]  # fmt: skip


@pytest.mark.parametrize(("opset", "text"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_cannot_be_converted_is_refused_by_name(opset: int, text: str) -> None:
    proto = model(text, opset)
    if "(z)" in text:
        proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "z"))
    with pytest.raises(InvalidNet) as caught:
        loaded(proto)
    assert caught.value.code == "unsupported_opset"
    assert "`bad`" in (caught.value.where or "")
    assert caught.value.remedy


DEPRECATED = [
    ("Scatter", 11, "(float[3] x, int64[1] i, float[1] u) => (float[3] y) "
     "{ [bad] y = Scatter(x, i, u) }"),
    ("Upsample", 10, "(float[1, 2, 4, 6] x, float[4] s) => (float[A, B, C, D] y)"
     "{ [bad] y = Upsample(x, s) }"),
    ("GroupNormalization", 18, "(float[1, 2, 4, 6] x, float[1] s, float[1] b) =>"
     "(float[1, 2, 4, 6] y) { [bad] y = GroupNormalization<num_groups = 1>(x, s, b) }"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "opset", "text"), DEPRECATED, ids=[row[0] for row in DEPRECATED])
def test_what_the_standard_withdrew_is_refused_by_name(op: str, opset: int, text: str) -> None:
    with pytest.raises(InvalidNet) as caught:
        loaded(model(text, opset))
    assert caught.value.code == "invalid_net"
    assert "`bad`" in (caught.value.where or "")
    assert f"{op} is deprecated in domain_version of {opset}" in (caught.value.found or "")


@pytest.mark.parametrize("opset", [9, 10])
@pytest.mark.parametrize("op", ["Affine", "ThresholdedRelu"])
def test_removed_operators_are_known_as_long_as_there_were_any(op: str, opset: int) -> None:
    proto = model(f"(float[3] x) => (float[3] y) {{ [one] y = {op}(x) }}", opset)
    if (op, opset) == ("Affine", 10):
        with pytest.raises(InvalidNet, match="no operator Affine in opset 10"):
            loaded(proto)
    else:
        assert "one" in {node.name for node in loaded(proto).graph}


def test_a_foreign_operator_with_a_subgraph_is_not_converted() -> None:
    body = onnx.parser.parse_graph("g (float[2] a) => (float[2] b) { b = Softmax(a) }")
    proto = model("(float[2] x) => (float[2] y) { [bad] y = com.microsoft.Odd(x) }", 11,
                  ', "com.microsoft" : 1')  # fmt: skip
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("body", body))
    with pytest.raises(InvalidNet, match="subgraphs"):
        loaded(proto)


IF = """(bool c, float[2, 3, 4] x) => (float[2, 3, 4] y) {
  [choice] y = If(c) <
    then_branch = t () => (float[2, 3, 4] p) { [hard] h = Hardmax(x) [soft] p = Softmax(h) },
    else_branch = e () => (float[2, 3, 4] q) { [less] h = Neg(x) [clip] q = Clip<min = 0.0>(h) }
  >
}"""


@pytest.mark.parametrize("choice", [True, False])
def test_subgraphs_are_converted_too(choice: bool) -> None:
    proto = model(IF, 10)
    net = loaded(proto)
    feeds = {"c": np.array(choice), "x": np.random.default_rng(3).normal(size=(2, 3, 4))}
    feeds["x"] = feeds["x"].astype(np.float32)
    for got, want in zip(run(ir.to_proto(net), feeds), run(proto, feeds), strict=True):
        # One softmax over all axes becomes one over a flattened copy: a rounding at most.
        np.testing.assert_allclose(got, want, rtol=1e-6)
    names = {node.name for node in net.graph.all_nodes()}
    assert {"choice", "hard", "soft", "less", "clip"} <= names
    values = {value.name for node in net.graph.all_nodes() for value in node.outputs}
    assert {"y", "h", "p", "q"} <= values


def test_symbols_and_port_order_survive() -> None:
    net = loaded(
        model(
            "(float[N, 4] b, float[N, 4] a) => (float[N, 4] z, float[N, 4] y)"
            "{ z = Softmax(a) t = Add(a, b) y = Softmax<axis = 0>(t) }",
            9,
        )
    )
    assert [v.name for v in net.graph.inputs] == ["b", "a"]
    assert [v.name for v in net.graph.outputs] == ["z", "y"]
    assert [str(d) for v in net.graph.outputs for d in v.shape or ()] == ["N", "4"] * 2


def test_ports_that_are_no_tensors_survive() -> None:
    text = "(seq(float[N]) s, int64 i) => (seq(float[N]) t, float[N] y)"
    net = loaded(model(text + "{ t = Identity(s) y = SequenceAt(s, i) }", 16))
    assert isinstance(net.graph.inputs[0].type, ir.SequenceType)
    assert isinstance(net.graph.outputs[0].type, ir.SequenceType)


def test_unused_parameters_survive() -> None:
    proto = model("(float[3] x) => (float[3] y) { y = Relu(x) }", 9)
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "idle"))
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(3000, np.float32), "idler"))
    assert list(loaded(proto).graph.initializers) == ["idle", "idler"]


def test_an_output_that_is_an_input_or_a_parameter() -> None:
    proto = model("(float[3] x) => (float[3] x, float[3] w) { y = Relu(x) }", 9)
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "w"))
    net = loaded(proto)
    assert [v.name for v in net.graph.inputs] == ["x"]
    assert [v.name for v in net.graph.outputs] == ["x", "w"]


def test_new_names_avoid_the_nets_own() -> None:
    net = loaded(
        model(
            "(float[2, 3, 4] x) => (float[2, 3, 4] y)"
            "{ y_shape = Relu(x) y_flat = Exp(y_shape) [h] y = Hardmax(y_flat) }",
            11,
        )
    )
    values = [value.name for node in net.graph for value in node.outputs]
    assert len(set(values)) == len(values)
    assert [n.op_type for n in net.graph if n.outputs[0].name == "y_shape"] == ["Relu"]


def test_a_newer_net_is_left_as_it_is() -> None:
    net = loaded(model("(float[3] x) => (float[3] y) { y = Swish(x) }", 24))
    assert net.opset_imports[""] == 24
    assert [node.op_type for node in net.graph] == ["Swish"]
