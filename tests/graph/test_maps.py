"""Nets of scikit-learn's converters: maps at the end are bypassed, others refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import portgrad
from portgrad.errors import InvalidNet

ML = "ai.onnx.ml"
MAPS = helper.make_sequence_type_proto(
    helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    )
)
NAMED = helper.make_sequence_type_proto(
    helper.make_map_type_proto(
        TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    )
)


def port(name: str, kind: onnx.TypeProto | None = None) -> onnx.ValueInfoProto:
    floats = helper.make_tensor_type_proto(TensorProto.FLOAT, ["N", 3])
    return helper.make_value_info(name, kind or floats)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    **opsets: int,
) -> onnx.ModelProto:
    imports = [helper.make_opsetid("" if d == "onnx" else ML, v) for d, v in opsets.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def zip_map(x: str = "scores", z: str = "p", **classes: Any) -> onnx.NodeProto:
    classes = classes or {"classlabels_int64s": [7, 8, 9]}
    return helper.make_node("ZipMap", [x], [z], "zip", domain=ML, **classes)


def classifier(normalised: str = "scores") -> list[onnx.NodeProto]:
    """A logistic regression as skl2onnx writes it."""
    return [
        helper.make_node(
            "LinearClassifier", ["x"], ["label", "raw"], "linear", domain=ML,
            classlabels_ints=[7, 8, 9], coefficients=[float(i % 4) for i in range(9)],
            intercepts=[0.5, 0.0, -0.5], multi_class=1, post_transform="LOGISTIC",
        ),
        helper.make_node("Normalizer", ["raw"], [normalised], "normal", domain=ML, norm="L1"),
    ]  # fmt: skip


def loaded(proto: onnx.ModelProto) -> portgrad.Net:
    return portgrad.load(proto.SerializeToString(), threads=1)


X = np.array([[1, 2, 3], [0, -1, 1]], np.float32)
LABEL = port("label", helper.make_tensor_type_proto(TensorProto.INT64, ["N"]))


@pytest.mark.parametrize(
    "opsets", [{"onnx": 9, "ml": 1}, {"onnx": 21, "ml": 3}, {"ml": 1}], ids=str
)
def test_the_probabilities_are_a_tensor(opsets: dict[str, int]) -> None:
    proto = model([*classifier(), zip_map()], [port("x")], [LABEL, port("p", MAPS)], **opsets)
    net = loaded(proto)
    labels, maps = ort.InferenceSession(proto.SerializeToString()).run(None, {"x": X})
    found = net.evaluate(X)
    assert list(found) == ["label", "p"]
    np.testing.assert_array_equal(found["label"], labels)
    np.testing.assert_array_equal(found["p"], [list(row.values()) for row in maps])
    description = net.description
    assert description.outputs[1].dtype == "float32"
    assert description.opset == opsets.get("onnx", 21)
    assert description.warnings == (
        "The output `p` was a list of maps, one for each example. Here it is the tensor that they "
        "were made of, with one column for each class: 7, 8, 9.",
    )


def test_shapes_are_known_around_operators_of_the_other_domain() -> None:
    nodes = [helper.make_node("Scaler", ["x"], ["scores"], domain=ML, scale=[2.0]), zip_map()]
    net = loaded(model(nodes, [port("x")], [port("p", MAPS)], onnx=21, ml=3))
    assert net.description.outputs[0].shape == ("N", 3)


def test_a_gradient_goes_through() -> None:
    nodes = [helper.make_node("Softmax", ["x"], ["scores"], "soft"), zip_map()]
    net = loaded(model(nodes, [port("x")], [port("p", MAPS)], onnx=13, ml=1))
    seed = np.array([[1, 0, 0], [0, 0, 2]], np.float32)
    y = np.exp(X) / np.exp(X).sum(1, keepdims=True)
    found = net.gradient(X, output_gradients={"p": seed})["x"]
    # A softmax's sums and products in float32.
    np.testing.assert_allclose(found, y * (seed - (seed * y).sum(1, keepdims=True)), atol=1e-6)


def test_the_tensor_may_be_a_port_itself() -> None:
    outputs = [port("x"), port("p", MAPS), port("q", NAMED)]
    named = zip_map("x", "q", classlabels_strings=["a", "b", "ü"])
    net = loaded(model([zip_map("x"), named], [port("x")], outputs, onnx=21, ml=3))
    assert [port.name for port in net.description.outputs] == ["x", "p", "q"]
    for array in net.evaluate(X).values():
        np.testing.assert_array_equal(array, X)
    assert "class: a, b, ü." in net.description.warnings[1]


def test_many_classes_are_not_all_told() -> None:
    zipped = zip_map("x", classlabels_int64s=list(range(1000)))
    net = loaded(model([zipped], [port("x")], [port("p", MAPS)], onnx=21, ml=3))
    assert net.description.warnings[0].endswith("18, 19 … (1000 in all).")


MAP = MAPS.sequence_type.elem_type
CAST = helper.make_node("CastMap", ["m"], ["y"], "cast", domain=ML)
AT = helper.make_node("SequenceAt", ["p", "i"], ["m"], "at")
INDEX = port("i", helper.make_tensor_type_proto(TensorProto.INT64, []))
REFUSED = [
    ("a map as input", [CAST], [port("m", MAP)], [port("y")], "node `cast` (CastMap)"),
    ("a map as input that nothing reads", [helper.make_node("Neg", ["x"], ["y"])],
     [port("x"), port("m", MAP)], [port("y")], "`m`"),
    ("maps that go on", [zip_map("x"), AT, CAST], [port("x"), INDEX], [port("y")],
     "node `zip` (ZipMap)"),
    ("maps that are read too", [zip_map("x"), AT], [port("x"), INDEX],
     [port("p", MAPS), port("m", MAP)], "node `zip` (ZipMap)"),
    ("maps that come in", [helper.make_node("Identity", ["s"], ["p"])], [port("s", MAPS)],
     [port("p", MAPS)], "`s`"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "inputs", "outputs", "where"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_other_maps_are_refused(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    where: str,
) -> None:
    with pytest.raises(InvalidNet) as caught:
        loaded(model(nodes, inputs, outputs, onnx=21, ml=3))
    assert caught.value.code == "unsupported_type"
    assert caught.value.where == where
    assert "zipmap=False" in (caught.value.remedy or "")
