"""What of ai.onnx.ml has no slope: zero with a warning, none, or refused, each on purpose."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.backend.test.case.node import collect_testcases

import portgrad
from portgrad.errors import InvalidRequest

ML = "ai.onnx.ml"
X = np.array([[0.5, -1.0], [2.0, 3.0]], np.float32)
# One split of feature 0 at 1.
TREE = {
    "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0, 0, 0],
    "nodes_values": [1.0, 0.0, 0.0], "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
    "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0],
}  # fmt: skip
MACHINE = {
    "n_supports": 1, "support_vectors": [1.0, 2.0], "coefficients": [1.0], "rho": [-1.0],
    "kernel_type": "LINEAR", "kernel_params": [0.0, 0.0, 0.0], "one_class": 1,
}  # fmt: skip


def _leaves(kind: str) -> dict[str, Any]:
    return {
        f"{kind}_treeids": [0, 0], f"{kind}_nodeids": [1, 2], f"{kind}_ids": [0, 0],
        f"{kind}_weights": [1.0, 5.0],
    }  # fmt: skip


def _net(*nodes: onnx.NodeProto, dtype: int = TensorProto.FLOAT, version: int = 3) -> portgrad.Net:
    port = helper.make_tensor_value_info("x", dtype, ["N", 2])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "net", [port], [result])
    imports = [helper.make_opsetid("", 21), helper.make_opsetid(ML, version)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return portgrad.load(model.SerializeToString(), threads=1)


def _node(op: str, outputs: str = "y", x: str = "x", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, [x], outputs.split(), "here", domain=ML, **attributes)


CLASSES = {"classlabels_int64s": [0, 1], **TREE, **_leaves("class")}
TARGETS = {"n_targets": 1, **TREE, **_leaves("target")}
FLAT = [
    (_node("TreeEnsembleRegressor", **TARGETS), "piecewise constant"),
    (_node("TreeEnsembleClassifier", "label y", **CLASSES), "piecewise constant"),
    (_node("Binarizer", threshold=1.0), "piecewise constant"),
    (_node("LabelEncoder", keys_floats=[0.5], values_floats=[2.0]), "a table"),
    (_node("OneHotEncoder", cats_int64s=[0, 1, 2]), "a table"),
    (_node("SVMRegressor", **MACHINE), "says 1 or -1"),
]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize(("node", "reason"), FLAT, ids=lambda x: getattr(x, "op_type", ""))
def test_a_zero_has_a_warning_at_every_version(
    node: onnx.NodeProto, reason: str, version: int
) -> None:
    if node.op_type == "LabelEncoder" and version == 1:
        return  # it maps text to integers and back there
    net = _net(node, version=version)
    found = net.gradient(X)
    np.testing.assert_array_equal(found["x"], np.zeros_like(X))
    [sentence] = found.warnings
    assert sentence.startswith(f"ai.onnx.ml.{node.op_type} node 'here': ")
    assert reason in sentence
    if node.op_type != "SVMRegressor":  # what an attribute makes flat is not foreseen
        assert net.description.warnings == (sentence,)


@pytest.mark.parametrize(
    "node",
    [
        _node("TreeEnsembleClassifier", "label scores", **CLASSES),
        _node(
            "LinearClassifier", "label scores", classlabels_ints=[0, 1], coefficients=[1.0, 2.0],
            intercepts=[0.0],
        ),
        _node(
            "SVMClassifier", "label scores", classlabels_ints=[0, 1], coefficients=[1.0, 2.0],
            rho=[0.0], support_vectors=[1.0, 2.0, 3.0, 4.0], vectors_per_class=[1, 1],
            kernel_params=[0.0, 0.0, 0.0],
        ),
        helper.make_node("TopK", ["x", "one"], ["value", "label"], "here"),
    ],
    ids=lambda node: node.op_type,
)  # fmt: skip
def test_labels_cut_with_a_warning(node: onnx.NodeProto) -> None:
    one = helper.make_node("Constant", [], ["one"], value_ints=[1])
    number = helper.make_node("Cast", ["label"], ["y"], "number", to=TensorProto.FLOAT)
    net = _net(one, node, number)
    found = net.gradient(X)
    np.testing.assert_array_equal(found["x"], np.zeros_like(X))
    [sentence] = found.warnings
    assert f"{node.op_type} node 'here': it makes integers or labels of numbers" in sentence
    assert net.description.warnings == (sentence,)


def test_named_labels_cut_too() -> None:
    named = _node(
        "LinearClassifier", "label scores", classlabels_strings=["no", "yes"],
        coefficients=[1.0, 2.0], intercepts=[0.0],
    )  # fmt: skip
    number = _node("LabelEncoder", x="label", keys_strings=["no", "yes"], values_floats=[0.0, 1.0])
    found = _net(named, number).gradient(X)
    np.testing.assert_array_equal(found["x"], np.zeros_like(X))
    assert "integers or labels" in found.warnings[0]


def test_scores_beside_labels_that_are_read_too_pass_without_a_warning() -> None:
    both = _node(
        "LinearClassifier", "label scores", classlabels_ints=[0, 1], coefficients=[1.0, 2.0],
        intercepts=[0.0],
    )  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["label"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["number", "axis"], ["column"]),
        helper.make_node("Mul", ["scores", "column"], ["y"]),
    ]
    axis = helper.make_node("Constant", [], ["axis"], value_ints=[1])
    found = _net(axis, both, *nodes).gradient(X, output_gradients={"y": [0.0, 1.0]}, outputs=True)
    # The label is 0 for the first example and 1 for the second.
    np.testing.assert_array_equal(found["x"], [[0.0, 0.0], [1.0, 2.0]])
    np.testing.assert_array_equal(found.outputs["y"], [[0.0, 0.0], [-7.0, 8.0]])


@pytest.mark.parametrize("dtype", [TensorProto.INT64, TensorProto.INT32])
def test_integers_have_no_gradient(dtype: int) -> None:
    net = _net(_node("Scaler", offset=[1.0], scale=[2.0]), dtype=dtype)
    with pytest.raises(InvalidRequest) as caught:
        net.gradient(X.astype(helper.tensor_dtype_to_np_dtype(dtype)))
    assert "holds nothing that has a gradient" in str(caught.value)


def _cases() -> dict[str, Any]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # ONNX makes its data anew, overflows included
        collected = collect_testcases(None)
    return {case.name: case for case in collected if case.name.startswith("test_ai_onnx_ml_")}


def test_the_cases_of_onnx() -> None:
    """Two move or make floats of floats, two are trees, the others map text and integers."""
    gradients, warned = {}, set()
    for name, case in _cases().items():
        net = portgrad.load(case.model.SerializeToString(), threads=1)
        inputs = dict(zip(net.names.inputs, case.data_sets[0][0], strict=True))
        floats = [n for n, x in inputs.items() if x.dtype.kind == "f"]
        if not floats:
            with pytest.raises(InvalidRequest):
                net.gradient(inputs)
            continue
        found = net.gradient(inputs, wrt=floats)
        gradients[name.removeprefix("test_ai_onnx_ml_")] = found[floats[0]]
        warned |= {name.removeprefix("test_ai_onnx_ml_")} if found.warnings else set()
    assert warned == {"binarizer", "tree_ensemble_single_tree", "tree_ensemble_set_membership"}
    moved = gradients.pop("array_feature_extractor")
    assert set(gradients) == warned
    assert not any(gradient.any() for gradient in gradients.values())
    np.testing.assert_array_equal(moved, [[1, 1, 0, 0]] * 3)
