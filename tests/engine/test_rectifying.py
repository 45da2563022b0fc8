"""Rows of a softmax that are masked whole are 0 where a net says so, by whatever operator."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.engine.rewrites import rectifying
from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

SAFE = "p = Softmax(x) n = IsNaN(p) z = Constant<value = float {0.0}>() y = Where(n, z, p)"
INF = np.inf
ROWS = [[0.0, 1.0, -INF], [-INF] * 3, [np.nan, 0.0, 1.0], [INF, 0.0, 0.0], [-300.0, 0.0, 300.0]]


def _model(text: str, dtype: str = "float", more: str = "") -> ir.Model:
    text = f"({dtype}[N,3] x) => ({dtype}[N,3] y{more}) {{ {text} }}"
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    return load(NetFiles(proto.SerializeToString()))


def _kinds(model: ir.Model) -> list[str]:
    rectifying.without_nan(model.graph)
    return [node.op_type for node in model.graph if node.op_type != "Constant"]


@pytest.mark.parametrize("zero", ["float {", "float[1] {"])
def test_a_where_in_the_place_of_nan(zero: str) -> None:
    model = _model(SAFE.replace("float {", zero))
    assert _kinds(model) == ["Softmax", "ThresholdedRelu"]
    x = np.array(ROWS, np.float32)
    [found] = Session(model, Weights(model), 1).run({"x": x})
    with np.errstate(invalid="ignore"):
        grown = np.exp(x - x.max(1, keepdims=True))
        p = grown / grown.sum(1, keepdims=True)
    np.testing.assert_allclose(found, np.where(np.isnan(p), 0.0, p), rtol=1e-6)


def test_a_test_that_somebody_else_reads_stays() -> None:
    model = _model(SAFE, more=", bool[N,3] n")
    assert _kinds(model) == ["Softmax", "IsNaN", "ThresholdedRelu"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Softmax(x)", "Exp(x)"),  # positive too, but not known to be
        ("IsNaN(p)", "IsNaN(x)"),
        ("IsNaN(p)", "IsInf(p)"),
        ("{0.0}", "{1.0}"),
        ("value = float {0.0}", "value = float[3] {0.0, 0.0, 0.0}"),
        ("Where(n, z, p)", "Where(n, p, z)"),
    ],
)
def test_other_wheres_are_left(old: str, new: str) -> None:
    assert "Where" in _kinds(_model(SAFE.replace(old, new)))


def test_doubles_are_left() -> None:
    assert "Where" in _kinds(_model(SAFE.replace("float", "double"), "double"))
