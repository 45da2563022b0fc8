"""What a Where leaves out has a gradient of 0, not NaN, also where a body computes it."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff.test_sequences import net_case
from support.double import Arrays
from support.rig import check_adjoint

INSIDE_IF = """s = If(f)
    <then_branch = t () => (double[] r) { r = Sqrt(x) },
     else_branch = e () => (double[] o) { o = Log(x) }>"""
INSIDE_LOOP = """s = Loop(n, , x) <body = step
    (int64 i, bool c, double[] h) => (bool d, double[] g) { d = Identity(c) g = Sqrt(h) }>"""
BEFORE_IF = """
    m = Relu(x)
    q = Sqrt(m)
    s = If(f)
    <then_branch = t () => (double[] r) { r = Sin(q) },
     else_branch = e () => (double[] o) { o = Exp(q) }>"""
BEFORE_LOOP = """
    m = Relu(x)
    q = Sqrt(m)
    s = Loop(n, , q) <body = step
    (int64 i, bool c, double[] h) => (bool d, double[] g) { d = Identity(c) g = Sin(h) }>"""


@pytest.mark.parametrize("which", [True, False])
@pytest.mark.parametrize("body", [INSIDE_IF, INSIDE_LOOP, BEFORE_IF, BEFORE_LOOP])
def test_a_body_whose_values_are_left_out(body: str, which: bool) -> None:
    feeds: Arrays = {"x": np.array([0.5, -0.1, -0.4]), "f": np.array(which), "n": np.array(2)}
    ends = "zero = Constant<value = double {0.0}>() p = Greater(x, zero) y = Where(p, s, x)"
    net = net_case("double[3] x, bool f, int64 n", f"{body} {ends}", feeds)
    check_adjoint(net, step=1e-6, tolerance=1e-6)
