"""Nets of a few nodes: losses that people write out, and exponents that are Constant nodes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from support.double import Arrays
from support.rig import ADJOINT, STEP, Case, check_adjoint, second_order

_RNG = np.random.default_rng(23)
_INPUT = _RNG.uniform(0.1, 0.9, (4, 3))
_TARGET = _RNG.uniform(0.1, 0.9, (4, 3))
_BASE = np.array([-2.2, -0.7, 0.4, 1.6])

_CROSS_ENTROPY = """(double[N, 3] Input, double[N, 3] Target) => (double loss) {
    one = Constant <value = double {1}> ()
    log_p = Log(Input)
    q = Sub(one, Input)
    log_q = Log(q)
    hit = Mul(Target, log_p)
    miss = Sub(one, Target)
    rest = Mul(miss, log_q)
    total = Add(hit, rest)
    negative = Neg(total)
    loss = ReduceMean <keepdims = 0> (negative)
}"""


def _case(text: str, feeds: Arrays, of: str) -> Case:
    net = parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]>\nnet {text}')
    net = onnx.shape_inference.infer_shapes(net, strict_mode=True)
    return Case(net, feeds, tuple(feeds), (of,))


def _check(case: Case) -> None:
    check_adjoint(case, step=STEP, tolerance=ADJOINT)
    check_adjoint(second_order(case), step=STEP, tolerance=10 * ADJOINT)


def test_binary_cross_entropy() -> None:
    case = _case(_CROSS_ENTROPY, {"Input": _INPUT, "Target": _TARGET}, "loss")
    _check(case)
    [ct_input, ct_target] = case.run_gradient({"seed/loss": np.array(1.0)})
    slope = (_INPUT - _TARGET) / (_INPUT * (1 - _INPUT)) / _INPUT.size
    np.testing.assert_allclose(ct_input, slope, rtol=1e-13)  # a few roundings of 1e-16
    odds = np.log((1 - _INPUT) / _INPUT) / _INPUT.size
    np.testing.assert_allclose(ct_target, odds, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("dtype", ["double", "float", "int64"])
@pytest.mark.parametrize("exponent", [-2, -1, 0, 1, 2, 3, 4])
def test_whole_exponents_that_are_constants(exponent: int, dtype: str) -> None:
    constant = f"n = Constant <value = {dtype} {{{exponent}}}> ()"
    _check(
        _case(f"(double[N] x) => (double[N] y) {{ {constant} y = Pow(x, n) }}", {"x": _BASE}, "y")
    )


@pytest.mark.parametrize("exponent", [-0.5, 0.5, 1.5, 2.5])
def test_broken_exponents_that_are_constants(exponent: float) -> None:
    constant = f"n = Constant <value = double {{{exponent}}}> ()"
    text = f"(double[N] x) => (double[N] y) {{ {constant} y = Pow(x, n) }}"
    _check(_case(text, {"x": np.abs(_BASE)}, "y"))


def test_a_constant_exponent_of_higher_rank() -> None:
    constant = "n = Constant <value = double[1, 1] {3}> ()"
    text = f"(double[N] x) => (double[A, B] y) {{ {constant} y = Pow(x, n) }}"
    _check(_case(text, {"x": _BASE}, "y"))
