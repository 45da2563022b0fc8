"""If, Loop and Scan: adjoint and second order against central differences in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import Arrays
from support.rig import Case, check_adjoint, second_order

X = np.array([0.3, -0.7, 1.1])
W = np.array([[0.5, -0.2, 0.1], [0.3, 0.4, -0.6], [-0.1, 0.2, 0.7]])
MANY = np.arange(12.0).reshape(4, 3) / 7.0 - 0.6


@dataclass(frozen=True)
class Net:
    """A net as text, its feeds, and whether a second derivative is checked."""

    name: str
    ports: str
    body: str
    feeds: Arrays
    second: bool = True

    def __str__(self) -> str:
        return self.name

    def case(self) -> Case:
        head = f'<ir_version: 10, opset_import: ["": 21]> net ({self.ports}) => (double y)'
        model = onnx.parser.parse_model(f"{head} {{ {self.body} }}")
        model.graph.output[0].type.tensor_type.ClearField("shape")
        wrt = tuple(name for name, x in self.feeds.items() if x.dtype == np.float64)
        return Case(ir.to_proto(load(NetFiles(model.SerializeToString()))), self.feeds, wrt, ("y",))


IF = """
    c = Cast<to = 9>(flag)
    t = If(c) <
        then_branch = yes () => (double[3] a) { s = Sin(x) a = Mul(s, w) },
        else_branch = no () => (double[3] b) { b = Exp(x) }
    >
    y = Mul(t, x)
"""
LOOP = """
    n = Constant<value = int64 {4}>()
    go = Constant<value = bool {1}>()
    y, kept = Loop(n, go, x) <body = step (int64 i, bool c, double[3] s)
        => (bool d, double[3] t, double[3] k) {
        m = MatMul(s, w)
        t = Tanh(m)
        k = Mul(t, x)
        d = Identity(c)
    }>
"""
LOOP_BY_CONDITION = """
    none = Constant<value = int64 {100}>()
    go = Constant<value = bool {1}>()
    limit = Constant<value = double {4.0}>()
    last = Loop(none, go, x) <body = step (int64 i, bool c, double[3] s)
        => (bool d, double[3] t) {
        q = Mul(s, w)
        t = Add(s, q)
        u = Mul(t, t)
        size = ReduceSum<keepdims = 0>(u)
        d = Less(size, limit)
    }>
    y = Sin(last)
"""
SCAN = """
    last, kept = Scan(x, many) <num_scan_inputs = 1, body = step (double[3] s, double[3] row)
        => (double[3] t, double[3] k) {
        m = MatMul(s, w)
        a = Add(m, row)
        t = Tanh(a)
        k = Mul(t, row)
    }>
    squares = Mul(last, last)
    y = Add(kept, squares)
"""
SCAN_WAYS = """
    last, kept = Scan(x, many) <
        num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1],
        scan_output_axes = [1], scan_output_directions = [1],
        body = step (double[3] s, double[3] row) => (double[3] t, double[3] k) {
            a = Mul(s, row)
            t = Sin(a)
            k = Add(t, row)
        }>
    lifted = Unsqueeze(last, one)
    y = Mul(kept, lifted)
"""
SCAN_EACH = """
    y = Scan(many) <num_scan_inputs = 1, body = each (double[3] row) => (double[3] t) {
        t = Sin(row)
    }>
"""
SCAN_TWICE = """
    last, kept = Scan(x, many, many) <num_scan_inputs = 2,
        body = step (double[3] s, double[3] row, double[3] again) => (double[3] t, double[3] k) {
        a = Mul(s, row)
        t = Sin(a)
        k = Mul(t, again)
    }>
    y = Mul(kept, last)
"""
NESTED = """
    n = Constant<value = int64 {3}>()
    go = Constant<value = bool {1}>()
    y = Loop(n, go, x) <body = outer (int64 i, bool c, double[3] s) => (bool d, double[3] t) {
        t = Loop(i, c, s) <body = inner (int64 j, bool e, double[3] p) => (bool f, double[3] q) {
            z = Mul(p, w)
            q = Tanh(z)
            f = Identity(e)
        }>
        d = Identity(c)
    }>
"""
NO_TRIPS = LOOP.replace("{4}", "{0}")
IF_IN_LOOP = """
    n = Constant<value = int64 {4}>()
    two = Constant<value = int64 {2}>()
    go = Constant<value = bool {1}>()
    y = Loop(n, go, x) <body = step (int64 i, bool c, double[3] s) => (bool d, double[3] t) {
        early = Less(i, two)
        t = If(early) <
            then_branch = yes () => (double[3] a) { a = Mul(s, w) },
            else_branch = no () => (double[3] b) { b = Sin(s) }
        >
        d = Identity(c)
    }>
"""

FLAG = {"flag": np.array(1, np.int64)}
NETS = [
    Net("if-then", "int64 flag, double[3] x, double[3] w", IF, {**FLAG, "x": X, "w": W[0]}),
    Net(
        "if-else",
        "int64 flag, double[3] x, double[3] w",
        IF,
        {"flag": np.array(0, np.int64), "x": X, "w": W[0]},
    ),
    Net("loop", "double[3] x, double[3, 3] w", LOOP, {"x": X, "w": W}),
    Net("loop-no-trips", "double[3] x, double[3, 3] w", NO_TRIPS, {"x": X, "w": W}),
    Net("loop-condition", "double[3] x, double[3] w", LOOP_BY_CONDITION, {"x": X, "w": W[0] + 0.4}),
    Net(
        "loop-symbolic", "double[n] x, double[n, n] w", LOOP.replace("[3]", "[n]"), {"x": X, "w": W}
    ),
    Net(
        "scan",
        "double[3] x, double[t, 3] many, double[3, 3] w",
        SCAN,
        {"x": X, "many": MANY, "w": W},
    ),
    Net(
        "scan-ways",
        "double[3] x, double[3, 4] many, int64[1] one",
        SCAN_WAYS,
        {"x": X, "many": MANY.T.copy(), "one": np.array([1])},
    ),
    Net("scan-without-states", "double[t, 3] many", SCAN_EACH, {"many": MANY}),
    Net("scan-twice", "double[3] x, double[t, 3] many", SCAN_TWICE, {"x": X, "many": MANY}),
    Net("loop-in-loop", "double[3] x, double[3] w", NESTED, {"x": X, "w": W[0] + 1.0}),
    Net("if-in-loop", "double[3] x, double[3] w", IF_IN_LOOP, {"x": X, "w": W[0] + 1.0}),
]


@pytest.mark.parametrize("net", NETS, ids=str)
def test_adjoint(net: Net) -> None:
    check_adjoint(net.case(), step=1e-5, tolerance=1e-7)


@pytest.mark.parametrize("net", [net for net in NETS if net.second], ids=str)
def test_second_order(net: Net) -> None:
    # A difference of gradients: its third derivatives are larger than those of the output.
    check_adjoint(second_order(net.case()), step=1e-5, tolerance=1e-6)
