"""Loading: what is refused and how, and what a loaded net looks like."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from portgrad.errors import InvalidNet
from portgrad.graph.constants import constant_value
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load


def model(text: str, imports: str = '"" : 21', functions: str = "") -> onnx.ModelProto:
    header = f"<ir_version: 10, opset_import: [{imports}]> net "
    return onnx.parser.parse_model(header + text + functions)


def loaded(proto: onnx.ModelProto) -> ir.Model:
    return load(NetFiles(proto.SerializeToString()))


def refusal(proto: onnx.ModelProto | bytes) -> InvalidNet:
    data = proto if isinstance(proto, bytes) else proto.SerializeToString()
    with pytest.raises(InvalidNet) as caught:
        load(NetFiles(data))
    assert caught.value.remedy
    return caught.value


SMALL = model("(float[N, 3] x) => (float[N, 3] y) <float[3] w = {1, 2, 3}> { y = Mul(x, w) }")


# --- bytes that are no model


GARBAGE = [
    ("empty", b"", "empty_file"),
    ("text", b"hello, this is not a net at all\n" * 9, "not_onnx"),
    ("zip", b"PK\x03\x04" + bytes(100), "not_onnx"),
    ("gzip", b"\x1f\x8b\x08" + bytes(100), "not_onnx"),
    ("zeros", bytes(100), "not_onnx"),
    ("html", b"<!DOCTYPE html><html></html>", "not_onnx"),
    ("json", b'{"ir_version": 8}', "not_onnx"),
    ("header alone", onnx.ModelProto(ir_version=8).SerializeToString(), "no_graph"),
    ("other protobuf", helper.make_tensor("t", 1, [2], [1, 2]).SerializeToString(), "not_onnx"),
]


@pytest.mark.parametrize(
    ("data", "code"), [row[1:] for row in GARBAGE], ids=[r[0] for r in GARBAGE]
)
def test_bytes_that_are_no_model(data: bytes, code: str) -> None:
    assert refusal(data).code == code


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
def test_a_model_that_was_cut_short(share: float) -> None:
    whole = SMALL.SerializeToString()
    graph_ends = len(whole) - 8  # the opset import comes last: without it nothing looks cut
    assert refusal(whole[: int(graph_ends * share)]).code == "truncated"


def test_no_prefix_of_a_model_loads() -> None:
    whole = SMALL.SerializeToString()
    for end in range(len(whole)):
        refusal(whole[:end])


@pytest.mark.parametrize("byte", [0, 1, 0x7F, 0xFF])
def test_a_changed_byte_gives_a_net_or_a_refusal(byte: int) -> None:
    whole = SMALL.SerializeToString()
    for place in range(len(whole)):
        data = whole[:place] + bytes([byte]) + whole[place + 1 :]
        with contextlib.suppress(InvalidNet):
            assert load(NetFiles(data)).graph.outputs


def test_a_model_in_a_file_loads_too(tmp_path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(SMALL.SerializeToString())
    assert [v.name for v in load(NetFiles(path)).graph.inputs] == ["x"]


# --- models that break a rule


def changed(edit) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    proto.CopyFrom(SMALL)
    edit(proto)
    return proto


def node(op: str, *inputs: str, **more: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs, ["y"], "bad", **more)


def instead(new: onnx.NodeProto):
    def edit(proto: onnx.ModelProto) -> None:
        proto.graph.node[0].CopyFrom(new)

    return edit


def weight(**fields: object):
    def edit(proto: onnx.ModelProto) -> None:
        proto.graph.initializer[0].CopyFrom(TensorProto(name="w", **fields))

    return edit


def opset(version: int, domain: str = ""):
    def edit(proto: onnx.ModelProto) -> None:
        del proto.opset_import[:]
        proto.opset_import.append(helper.make_opsetid(domain, version))

    return edit


def two_opsets(proto: onnx.ModelProto) -> None:
    proto.opset_import.append(helper.make_opsetid("ai.onnx", 13))


BROKEN = [
    (
        "text of an attribute",
        instead(node("Gelu", "x", approximate=b"\xff")),
        "invalid_text",
        "`bad` (Gelu)",
    ),
    (
        "texts of an attribute",
        instead(node("Constant", value_strings=[b"fine", b"\xff"])),
        "invalid_text",
        "`bad` (Constant)",
    ),
    (
        "port without an element type",
        lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 0),
        "invalid_net",
        "`x`",
    ),
    ("two opsets", two_opsets, "unknown_opset", None),
    ("opset too new", opset(29), "unknown_opset", "the model"),
    ("opset zero", opset(0), "unknown_opset", "the model"),
    ("no opset", opset(1, "ai.onnx.ml"), "unknown_opset", "`y`"),
    ("ml opset too new", opset(99, "ai.onnx.ml"), "unknown_opset", "the model"),
    ("no ir_version", lambda m: m.ClearField("ir_version"), "unknown_ir_version", None),
    ("newer ir_version", lambda m: setattr(m, "ir_version", 99), "unknown_ir_version", None),
    (
        "other domain",
        instead(node("Mul", "x", "w", domain="acme")),
        "unknown_domain",
        "`bad` (Mul)",
    ),
    (
        "training",
        instead(node("Adam", "x", "w", domain="ai.onnx.preview.training")),
        "unknown_domain",
        "`bad` (Adam)",
    ),
    ("no such operator", instead(node("Mull", "x", "w")), "unknown_operator", "`bad` (Mull)"),
    ("operator of a later opset", instead(node("Swish", "x")), "unknown_operator", "`bad` (Swish)"),
    ("too few operands", instead(node("Mul", "x")), "invalid_net", "`bad` (Mul)"),
    ("unknown attribute", instead(node("Mul", "x", "w", axis=1)), "invalid_net", "`bad` (Mul)"),
    ("unknown value", instead(node("Mul", "x", "v")), "invalid_net", None),
    ("weight too short", weight(data_type=1, dims=[3], raw_data=b"12"), "invalid_net", "`w`"),
    ("weight too long", weight(data_type=1, dims=[3], raw_data=bytes(16)), "invalid_tensor", "`w`"),
    ("large weight too short", weight(data_type=1, dims=[3, 9999]), "invalid_tensor", "`w`"),
    ("absurd weight", weight(data_type=1, dims=[2**40, 2**40]), "invalid_tensor", "`w`"),
    ("negative dimension", weight(data_type=1, dims=[-3]), "invalid_net", "`w`"),
    (
        "shapes do not fit",
        weight(data_type=1, dims=[2], float_data=[1, 2]),
        "shape_inference_failed",
        "`y` (Mul)",
    ),
    (
        "types do not fit",
        weight(data_type=7, dims=[3], int64_data=[1, 2, 3]),
        "shape_inference_failed",
        "`y` (Mul)",
    ),
    (
        "output declared with another shape",
        lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 7),
        "shape_inference_failed",
        "`y` (Mul)",
    ),
]


@pytest.mark.parametrize(
    ("edit", "code", "where"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_a_model_that_breaks_a_rule(edit, code: str, where: str | None) -> None:
    error = refusal(changed(edit))
    assert error.code == code
    assert where is None or where in (error.where or "")
    # Neither this machine's folders nor those of the one that built onnx.
    assert not re.search(r"\.(cc|h|py)\b|/\w+/", str(error))


def test_names_that_are_no_utf8_are_refused() -> None:
    error = refusal(SMALL.SerializeToString().replace(b"w", b"\xff"))
    assert (error.code, error.found) == ("invalid_text", "b'\\xff'")


# --- what a loaded net looks like


def test_every_value_has_type_and_shape() -> None:
    net = loaded(
        model("(float[N, 3] x) => (float[K, N] y) { a = Relu(x) b = Transpose(a) y = Exp(b) }")
    )
    shapes = {v.name: [str(d) for d in v.shape or ()] for n in net.graph for v in n.outputs}
    assert shapes == {"a": ["N", "3"], "b": ["3", "N"], "y": ["3", "N"]}


def test_an_output_without_a_declared_shape_gets_one() -> None:
    proto = changed(lambda m: m.graph.output[0].type.tensor_type.ClearField("shape"))
    assert [str(d) for d in loaded(proto).graph.outputs[0].shape or ()] == ["N", "3"]


def test_a_negative_size_means_any_size() -> None:
    net = loaded(model("(float[2, 3] x) => (float[2, 3] y) { y = Relu(x) }"))
    proto = ir.to_proto(net)
    for port in (*proto.graph.input, *proto.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = -1
    [port] = loaded(proto).graph.inputs
    assert port.shape is not None
    assert isinstance(port.shape[0], ir.SymbolicDim)
    assert port.shape[1] == 3


def test_stale_value_info_misleads_nobody() -> None:
    proto = model("(float[2, 3] x) => (float[2, 3] y) { a = Relu(x) y = Exp(a) }")
    proto.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.INT64, [9]))
    [relu, _] = loaded(proto).graph
    assert relu.outputs[0].dtype == ir.DataType.FLOAT
    assert list(relu.outputs[0].shape or ()) == [2, 3]


def test_initializers_listed_as_inputs_are_parameters() -> None:
    proto = changed(
        lambda m: m.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [3]))
    )
    proto.ir_version = 3
    net = loaded(proto)
    assert [v.name for v in net.graph.inputs] == ["x"]
    assert list(net.graph.initializers) == ["w"]


@pytest.mark.parametrize(
    ("opset_of_file", "kept"), [(7, 21), (20, 21), (21, 21), (22, 22), (28, 28)]
)
def test_the_working_opset(opset_of_file: int, kept: int) -> None:
    net = loaded(changed(opset(opset_of_file)))
    assert net.opset_imports == {"": kept}


def test_a_domain_that_is_imported_twice_is_converted() -> None:
    proto = changed(opset(11))
    proto.opset_import.append(helper.make_opsetid("", 11))
    assert loaded(proto).opset_imports == {"": 21}


def test_ai_onnx_is_the_default_domain() -> None:
    proto = changed(opset(13, "ai.onnx"))
    proto.graph.node[0].domain = "ai.onnx"
    net = loaded(proto)
    assert net.opset_imports == {"": 21}
    assert net.graph[0].domain == ""


def test_what_the_runtime_knows_beyond_the_standard_stays() -> None:
    proto = model(
        "(float[2, 3] x) => (float[2, 3] y) { g = com.microsoft.FastGelu(x) y = Exp(g) }",
        '"" : 17, "com.microsoft" : 1',
    )
    proto.graph.value_info.append(helper.make_tensor_value_info("g", TensorProto.FLOAT, [2, 3]))
    net = loaded(proto)
    assert [n.domain for n in net.graph] == ["com.microsoft", ""]
    assert list(net.graph[0].outputs[0].shape or ()) == [2, 3]


def test_the_ml_domain_stays_and_needs_no_default_opset() -> None:
    proto = model(
        "(float[2, 3] x) => (float[2, 3] y) { y = ai.onnx.ml.Scaler(x) }", '"ai.onnx.ml" : 3'
    )
    net = loaded(proto)
    assert net.opset_imports == {"ai.onnx.ml": 3, "": 21}
    assert net.meta["opset"] == 0


def test_nodes_without_a_name_stay_without_one() -> None:
    assert not loaded(SMALL).graph[0].name


def test_constant_nodes_stay_nodes() -> None:
    net = loaded(
        model(
            "(float[2, 3] x) => (float[6] y)"
            "{ s = Constant<value_ints = [-1]>() t = Identity(s) y = Reshape(x, t) }"
        )
    )
    assert [n.op_type for n in net.graph] == ["Constant", "Identity", "Reshape"]
    [size] = constant_value(net.graph[2].inputs[1])
    assert size == -1
    assert net.meta["promised"] == {"y": (6,)}


def sparse(dims: list[int], indices: list[int]) -> onnx.SparseTensorProto:
    values = helper.make_tensor("w", TensorProto.FLOAT, [len(indices)], range(1, len(indices) + 1))
    places = helper.make_tensor("places", TensorProto.INT64, [len(indices)], indices)
    return helper.make_sparse_tensor(values, places, dims)


def test_a_sparse_initializer_becomes_dense() -> None:
    def edit(proto: onnx.ModelProto) -> None:
        del proto.graph.initializer[:]
        proto.graph.sparse_initializer.append(sparse([3], [0, 2]))

    weights = loaded(changed(edit)).graph.initializers["w"].const_value
    assert weights is not None
    np.testing.assert_array_equal(weights.numpy(), np.array([1, 0, 2], np.float32))


def test_a_sparse_constant_becomes_dense() -> None:
    constant = helper.make_node("Constant", [], ["w"], sparse_value=sparse([2, 3], [1, 5]))

    def edit(proto: onnx.ModelProto) -> None:
        del proto.graph.initializer[:]
        proto.graph.node.insert(0, constant)
        proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2

    [node, _] = loaded(changed(edit)).graph
    value = constant_value(node.outputs[0])
    assert value is not None
    assert value.tolist() == [[0, 1, 0], [0, 0, 2]]


@pytest.mark.parametrize(
    ("dims", "indices"), [([3], [0, 3]), ([3], [2, 0]), ([2**40], [0]), ([3], [-1, 0])]
)
def test_a_bad_sparse_initializer_is_refused(dims: list[int], indices: list[int]) -> None:
    def edit(proto: onnx.ModelProto) -> None:
        del proto.graph.initializer[:]
        proto.graph.sparse_initializer.append(sparse(dims, indices))

    assert refusal(changed(edit)).code == "invalid_sparse_tensor"


def test_parameters_come_in_the_order_of_the_file() -> None:
    proto = model(
        "(float[64] x) => (float[64] y) { a = Mul(x, big) b = Mul(a, one) y = Add(b, z) }"
    )
    for name, size in (("z", 1), ("big", 64), ("one", 1)):
        array = np.ones(size, np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    assert list(loaded(proto).graph.initializers) == ["z", "big", "one"]
