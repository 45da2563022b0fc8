"""How accurate functions of one number are in float64: against `math`, over their whole domains.

The bound is the one that the documentation states; what is measured is printed where it fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights

STATED = 1e-15  # relative: about five roundings
_TINY = np.array([0.0, 5e-324, 1e-310, 1e-300, 1e-100, 1e-30, 1e-17, 1e-9, 1e-8, 1e-5])
_WIDE = np.concatenate(
    [_TINY, np.linspace(1e-4, 7.0, 4001), [20.0, 40.0, 1e3, 1e8, 1e9, 1e17, 1e200]]
)
_BOTH = np.concatenate([-_WIDE, _WIDE])
_FAR = np.array([400.0, 700.0, 709.9, 710.4])
_UNIT = np.concatenate([_TINY, np.linspace(1e-4, 1.0, 4001), 1 - np.logspace(-16, -1, 60)])


def run(op: str, x: np.ndarray, **attributes: object) -> np.ndarray:
    """One node on the engine."""
    kind = onnx.TensorProto.DOUBLE
    node = helper.make_node(op, ["x"], ["y"], **attributes)
    ports = [helper.make_tensor_value_info(name, kind, [None]) for name in "xy"]
    graph = helper.make_graph([node], "one", ports[:1], ports[1:])
    opset = 24 if op == "Swish" else 21
    imports = [helper.make_opsetid("", opset)]
    model = ir.from_proto(helper.make_model(graph, opset_imports=imports, ir_version=10))
    return Session(model, Weights(model), threads=1).run({"x": x})[0]


def _log1p_exp(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _negative_part(x: float) -> float:
    return x if x > 0 else math.expm1(x)


FUNCTIONS: list[tuple[str, Callable[[float], float], np.ndarray]] = [
    ("Erf", math.erf, _BOTH),
    ("Atan", math.atan, _BOTH),
    ("Asin", math.asin, np.concatenate([-_UNIT, _UNIT])),
    ("Acos", math.acos, np.concatenate([-_UNIT, _UNIT])),
    ("Sinh", math.sinh, np.concatenate([_BOTH[np.abs(_BOTH) < 100], _FAR, -_FAR])),
    ("Cosh", math.cosh, np.concatenate([_BOTH[np.abs(_BOTH) < 100], _FAR, -_FAR])),
    ("Asinh", math.asinh, _BOTH),
    ("Acosh", math.acosh, 1.0 + _WIDE),
    ("Atanh", math.atanh, np.concatenate([-_UNIT, _UNIT])[np.abs(np.tile(_UNIT, 2)) < 1]),
    ("Softplus", _log1p_exp, _BOTH[np.abs(_BOTH) < 700]),
    ("Elu", _negative_part, _BOTH),
    ("Sigmoid", lambda x: 1 / (1 + math.exp(-x)), _BOTH[np.abs(_BOTH) < 700]),
    ("Softsign", lambda x: x / (1 + abs(x)), _BOTH),
]


@pytest.mark.parametrize(("op", "exact", "x"), FUNCTIONS, ids=[f[0] for f in FUNCTIONS])
def test_error(op: str, exact: Callable[[float], float], x: np.ndarray) -> None:
    want, got = np.array([exact(float(v)) for v in x]), run(op, x)
    assert got.dtype == np.float64
    error = np.abs(got - want) / np.maximum(np.abs(want), 1e-300)
    worst = int(np.argmax(error))
    assert error[worst] <= STATED, (op, x[worst], got[worst], want[worst], error[worst])


def test_error_of_tan() -> None:
    """Sine and cosine err by 1e-16 wherever they are, and tan by 1 / cos² times that."""
    x = _BOTH[np.abs(_BOTH) < 100]
    want = np.tan(x)
    error = np.abs(run("Tan", x) - want)
    assert np.max(error / (1.0 + want * want)) <= STATED
    assert np.max((error / np.maximum(np.abs(want), 1e-300))[np.abs(x) < 1]) <= STATED


@pytest.mark.parametrize(
    ("op", "x", "want"),
    [
        ("Erf", [np.inf, -np.inf, np.nan, -0.0], [1.0, -1.0, np.nan, -0.0]),
        ("Atan", [np.inf, -np.inf, np.nan], [math.pi / 2, -math.pi / 2, np.nan]),
        ("Asin", [1.0, -1.0, 1.1, np.nan], [math.pi / 2, -math.pi / 2, np.nan, np.nan]),
        ("Acos", [1.0, -1.0, 1.1, -1.1, np.nan], [0.0, math.pi, np.nan, np.nan, np.nan]),
        ("Asinh", [np.inf, -np.inf, np.nan], [np.inf, -np.inf, np.nan]),
        ("Acosh", [1.0, 0.9, -2.0, np.inf, np.nan], [0.0, np.nan, np.nan, np.inf, np.nan]),
        ("Atanh", [1.0, -1.0, 1.1, np.nan], [np.inf, -np.inf, np.nan, np.nan]),
        ("Sinh", [np.inf, -np.inf, 711.0, np.nan], [np.inf, -np.inf, np.inf, np.nan]),
        ("Cosh", [np.inf, -np.inf, 711.0, np.nan], [np.inf, np.inf, np.inf, np.nan]),
        ("Sigmoid", [np.inf, -np.inf, -800.0, np.nan], [1.0, 0.0, 0.0, np.nan]),
        ("Softplus", [np.inf, -np.inf, np.nan], [np.inf, 0.0, np.nan]),
        ("Elu", [np.inf, -np.inf, np.nan], [np.inf, -1.0, np.nan]),
        ("LeakyRelu", [np.inf, -np.inf, np.nan], [np.inf, -np.inf, np.nan]),
        ("HardSigmoid", [np.inf, -np.inf], [1.0, 0.0]),
    ],
)
def test_ends_of_the_domain(op: str, x: list[float], want: list[float]) -> None:
    np.testing.assert_allclose(run(op, np.array(x)), want, rtol=STATED, atol=0)
