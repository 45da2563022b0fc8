"""Names inside a body: nodes are reported by them, and another body may have the same ones."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper as h

import portgrad
from autodiff.test_sequences import net_case
from support.double import Arrays
from support.rig import check_adjoint, second_order


def _loop(*nodes: onnx.NodeProto) -> bytes:
    """Two trips of a body that takes `s` to `s2`."""
    number, flag = onnx.TensorProto.INT64, onnx.TensorProto.BOOL

    def info(name: str, dtype: int = onnx.TensorProto.FLOAT, *dims: int) -> onnx.ValueInfoProto:
        return h.make_tensor_value_info(name, dtype, list(dims))

    body = h.make_graph(
        [h.make_node("Identity", ["going"], ["go_on"]), *nodes],
        "body",
        [info("trip", number), info("going", flag), info("s")],
        [info("go_on", flag), info("s2")],
    )
    graph = h.make_graph(
        [
            h.make_node("Constant", [], ["trips"], value_int=2),
            h.make_node("Loop", ["trips", "", "x"], ["y"], body=body, name="outside"),
        ],
        "net",
        [info("x")],
        [info("y")],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(("name", "known"), [("inside", "inside"), ("", "s2")])
def test_a_warning_names_the_node_in_the_body(name: str, known: str) -> None:
    net = portgrad.load(_loop(h.make_node("Round", ["s"], ["s2"], name=name)))
    found = net.gradient(np.float32(0.25))
    assert found["x"] == 0
    assert found.warnings == (
        f"Round node {known!r}: it is piecewise constant, so its gradient is zero",
    )


SIBLINGS = """
    a = Loop(n, , x) <body = one (int64 i, bool c, double[] h) => (bool d, double[] g) {
        d = Identity(c)
        t = Tanh(h)
        g = Mul(t, w)
    }>
    b = Loop(n, , z) <body = two (int64 i, bool c, double[] h) => (bool d, double[] g) {
        d = Identity(c)
        t = Tanh(h)
        g = Mul(t, v)
    }>
    y = Mul(a, b)
"""


@pytest.mark.parametrize("z", [[0.7], [[0.7, -0.2, 0.4], [0.1, 0.3, -0.9]]])
def test_bodies_beside_each_other_may_use_the_same_names(z: object) -> None:
    """What is known of the shapes in one body is not believed in the other."""
    ports = "double[3] x, double[3] w, int64 n, double"
    feeds: Arrays = {"x": np.array([0.5, -0.3, 0.8]), "w": np.array([1.1, 0.4, -0.6])}
    feeds |= {"z": np.asarray(z), "v": np.asarray(z) + 0.2, "n": np.array(2)}
    sizes = list(np.shape(z))
    which = net_case(f"{ports}{sizes} z, double{sizes} v", SIBLINGS, feeds)
    check_adjoint(which, step=1e-6, tolerance=1e-6)
    check_adjoint(second_order(which), step=1e-6, tolerance=1e-5)


def test_branches_may_use_the_same_names_for_other_sizes() -> None:
    """onnx's inference takes what is in one branch for what is in the other."""
    body = """
        axis = Constant<value = int64[1] {0}>()
        zero = Constant<value = double {0.0}>()
        sum = ReduceSum<keepdims = 0>(x)
        p = Greater(sum, zero)
        y = If(p) <
            then_branch = one () => (double[] r) {
                t = Unsqueeze(x, axis)
                u = Mul(t, w)
                r = ReduceSum<keepdims = 0>(u, axis)
            },
            else_branch = two () => (double[] s) { t = Mul(x, x) u = Mul(t, w) s = Sin(u) }>
    """
    for x in (np.array([0.5, -0.1, 0.4]), np.array([-0.5, 0.1, -0.4])):
        feeds: Arrays = {"x": x, "w": np.array([0.3, 1.2, -0.7])}
        which = net_case("double[3] x, double[3] w", body, feeds)
        check_adjoint(which, step=1e-6, tolerance=1e-6)
        check_adjoint(second_order(which), step=1e-6, tolerance=1e-5)
