"""ai.onnx.ml: what replaces an operator computes what the runtime's kernel computes, and its type
and shape are known before the net runs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.errors import Unsupported
from rules.test_rule_table import ROWS as ALL_ROWS
from support.double import runner
from support.rig import Row, case

ROWS = [row for row in ALL_ROWS if row.domain == "ai.onnx.ml"]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_body_computes_what_the_kernel_does(row: Row, symbolic: bool) -> None:
    which = case(row, np.float32, symbolic=symbolic)
    [kernel] = runner(which.forward(), engine="onnxruntime")(which.feeds)
    net = ir.from_proto(which.model)
    graph = gradient_graph(net, wrt=which.wrt, of=which.of, outputs=which.of).model
    [body, *_] = runner(ir.to_proto(graph), engine="onnxruntime")(which.feeds)
    assert not any(n.domain == row.domain for n in graph.graph)
    assert body.dtype == kernel.dtype
    # PROBIT in the kernel subtracts numbers near to 4 whose difference is near to 0.
    tolerance = 1e-4 if row.attributes.get("post_transform") == "PROBIT" else 2e-6
    np.testing.assert_allclose(body, kernel, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_types_and_shapes_are_inferred(row: Row, symbolic: bool) -> None:
    which = case(row, np.float32, symbolic=symbolic)
    known = {value.name: value.type.tensor_type for value in which.model.graph.output}
    outputs = runner(which.model, engine="onnxruntime")(which.feeds)
    for name, array in zip(row.output_names, outputs, strict=True):
        if array.dtype.kind in "iuf":
            assert onnx.helper.tensor_dtype_to_np_dtype(known[name].elem_type) == array.dtype
        sizes = [dim.dim_value for dim in known[name].shape.dim]
        assert len(sizes) == array.ndim
        if not symbolic:
            assert sizes == list(array.shape)


def test_probit_has_a_slope_at_a_half() -> None:
    def formula(v: np.ndarray) -> np.ndarray:
        x = 2 * v - 1
        log = np.log((1 - x) * (1 + x))
        a = 2 / (3.14159 * 0.147) + log / 2
        return np.sqrt(2) * np.sign(x) * np.sqrt(np.sqrt(a * a - log / 0.147) - a)

    points = np.array([[0.1, 0.3, 0.4999, 0.5, 0.5001, 0.503, 0.6, 0.9]])
    row = Row(
        "LinearRegressor", [points.T], {"coefficients": [1.0], "post_transform": "PROBIT"},
        domain="ai.onnx.ml", single_only=True,
    )  # fmt: skip
    which = case(row, np.float32)
    [gradient] = which.run_gradient({"seed/y0": np.ones((8, 1), np.float32)})
    step = 1e-3  # the formula itself cancels near a half
    slopes = (formula(points + step) - formula(points - step)) / (2 * step)
    np.testing.assert_allclose(gradient.T, slopes, rtol=1e-3)


MIXED = [
    ("Scaler", 1, {"offset": [1.0], "scale": [0.5]}, [[0.5, 0.5]]),
    ("Normalizer", 1, {"norm": "MAX"}, [[0.5, -0.25]]),
    ("FeatureVectorizer", 1, {"inputdimensions": [1]}, [[1.0, 0.0]]),
    (
        "LinearClassifier", 2,
        {"coefficients": [2.0, 3.0], "intercepts": [1.0], "classlabels_ints": [0, 1]}, [[0.0, 0.0]],
    ),
    (
        "SVMClassifier", 2,
        {
            "coefficients": [2.0, 3.0, 4.0, 5.0], "rho": [1.0], "classlabels_ints": [0, 1],
            "kernel_params": [0.0, 0.0, 0.0],
        },
        [[6.0, 8.0]],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("op", "outputs", "attributes", "expected"), MIXED)
def test_the_gradient_of_doubles_is_in_double(
    op: str, outputs: int, attributes: dict[str, Any], expected: list[list[float]]
) -> None:
    of = (outputs - 1,)
    x = np.array([[1.0, 2.0]])
    row = Row(op, [x], attributes, outputs=outputs, of=of, domain="ai.onnx.ml")
    which = case(row)
    [y] = which.run_forward()
    [gradient] = which.run_gradient({f"seed/{which.of[0]}": np.ones_like(y)})
    assert (y.dtype, gradient.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(gradient, expected)


REFUSED = [
    ("LinearClassifier", {"coefficients": [1.0, 2.0], "classlabels_ints": [0, 1]}, "no intercepts"),
    (
        "LinearClassifier",
        {
            "coefficients": [1.0, 2.0], "intercepts": [1.0], "classlabels_ints": [0, 1],
            "post_transform": "PROBIT",
        },
        "PROBIT leaves half",
    ),
    ("LinearRegressor", {"coefficients": [1.0, 2.0, 3.0], "targets": 2}, "3 coefficients are no 2"),
    (
        "LinearRegressor", {"coefficients": [1.0, 2.0], "post_transform": "CUBE"}, "'CUBE' is not",
    ),
    ("SVMRegressor", {"coefficients": [1.0, 2.0]}, "0 rho, and 1 are needed"),
    (
        "SVMRegressor",
        {
            "coefficients": [1.0], "rho": [0.0], "n_supports": 1, "support_vectors": [1.0, 2.0],
            "kernel_type": "COSINE",
        },
        "'COSINE' is not",
    ),
    (
        "SVMClassifier",
        {
            "coefficients": [1.0], "rho": [0.0], "support_vectors": [1.0, 2.0],
            "vectors_per_class": [1], "classlabels_ints": [3],
        },
        "1 classes",
    ),
    ("Normalizer", {"norm": "L3"}, "'L3' is not"),
    ("LinearRegressor", {"coefficients": [1.0, 2.0], "targets": -2}, "no -2 rows"),
    ("FeatureVectorizer", {"inputdimensions": [-2]}, "negative dimensions"),
    ("Scaler", {"scale": [1.0, 2.0]}, "2 scales and 0 offsets"),
    ("FeatureVectorizer", {"inputdimensions": [1, 2]}, "1 operands and 2"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "attributes", "reason"), REFUSED)
def test_what_the_runtime_would_not_run_is_refused(
    op: str, attributes: dict[str, Any], reason: str
) -> None:
    outputs = 2 if op.endswith("Classifier") else 1
    row = Row(op, [np.ones((2, 2))], attributes, outputs=outputs, domain="ai.onnx.ml")
    which = case(row, np.float32)
    with pytest.raises(Unsupported, match=reason):
        gradient_graph(ir.from_proto(which.model), wrt=["x0"], of=[f"y{outputs - 1}"])


def _whatever_the_rank(row: Row) -> bool:
    moving = row.op in {"ArrayFeatureExtractor", "FeatureVectorizer"}
    return not moving and len(row.attributes.get("imputed_value_floats", ())) < 2


@pytest.mark.parametrize("row", [row for row in ROWS if _whatever_the_rank(row)], ids=str)
def test_the_rank_need_not_be_known(row: Row) -> None:
    which = case(row, np.float32)
    model = which.model
    outputs = which.run_forward()
    seeds = which.seeds(outputs)
    wanted = which.run_gradient(seeds)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.ClearField("shape")
    for a, b in zip(wanted, which.run_gradient(seeds), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)
