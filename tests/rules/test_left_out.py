"""What a Where leaves out has gradient 0, also where its slope is infinite or no number.

Each net is Where(x > 0, f(x), x) or Where(x > 0, x, f(x)), at points that are left out and where
f overflows or has no value.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import Arrays, runner
from support.rig import Case, second_order

INF, NAN = np.inf, np.nan
# The nodes from x to f, where f is left out, and points there.
LEFT_OUT = [
    ("f = Sqrt(x)", "x > 0", [0.0, -1.0]),
    ("f = Log(x)", "x > 0", [0.0, -1.0]),
    ("f = Reciprocal(x)", "x > 0", [0.0]),
    ("f = Div(one, x)", "x > 0", [0.0]),
    ("f = Div(x, x)", "x > 0", [0.0]),
    ("l = Log(x) f = Mul(x, l)", "x > 0", [0.0, -1.0]),  # of an entropy
    ("f = Pow(x, half)", "x > 0", [0.0, -1.0]),
    ("f = Pow(x, e)", "x > 0", [0.0, -1.0]),
    ("e1 = Exp(x) s = Add(one, e1) f = Log(s)", "x < 0", [100.0, 1e4]),
    ("e1 = Exp(x) f = Sub(e1, one)", "x < 0", [100.0, INF]),
    ("f = Sinh(x)", "x < 0", [100.0]),
    ("f = Cosh(x)", "x < 0", [100.0]),
    ("z = Add(x, one) f = Asin(z)", "x < 0", [0.0, 1.0]),
    ("z = Add(x, one) f = Acos(z)", "x < 0", [0.0, 1.0]),
    ("z = Add(x, one) f = Atanh(z)", "x < 0", [0.0, 1.0]),
    ("z = Add(x, one) f = Acosh(z)", "x > 0", [0.0, -1.0]),
    # Through what works element by element or moves elements.
    ("r = Sqrt(x) m = Mul(r, half) c = Cast<to = 11>(m) f = Cast<to = 1>(c)", "x > 0", [0.0]),
    ("l = Log(x) u = Unsqueeze(l, last) r = ReduceSum(u, last) f = Reshape(r, last)", "x > 0",
     [0.0, -1.0]),
    # Of so few elements as are known a relu's slope is its sign, which a NaN has none of.
    ("l = Log(x) k = Reshape(l, single) f = Relu(k)", "x > 0", [-1.0]),
]  # fmt: skip
CHOSEN = {"x > 0": "Greater(x, zero)", "x < 0": "Less(x, zero)"}


def _net(nodes: str, condition: str) -> ir.Model:
    text = (
        '<ir_version: 10, opset_import: ["": 21]> net (float[N] x, float e) => (float[N] y) '
        "<float zero = {0}, float one = {1}, float half = {0.5}, "
        "int64[1] last = {-1}, int64[1] single = {1}>"
        f"{{ {nodes} c0 = {CHOSEN[condition]} y = Where(c0, f, x) }}"
    )
    return load(NetFiles(onnx.parser.parse_model(text).SerializeToString()))


def _gradient(net: ir.Model, wrt: list[str], of: str) -> ir.Model:
    return gradient_graph(net, wrt=wrt, of=[of]).model


def _run(model: ir.Model, feeds: Arrays) -> list[np.ndarray]:
    read = {str(value.name) for value in model.graph.inputs}
    given = {name: array for name, array in feeds.items() if name in read}
    return runner(ir.to_proto(model), engine="onnxruntime")(given)


def _feeds(points: list[float]) -> Arrays:
    return {"x": np.array(points, np.float32), "e": np.array(0.5, np.float32)}


@pytest.mark.parametrize(("nodes", "condition", "points"), LEFT_OUT)
def test_gradient_where_a_where_leaves_out(nodes: str, condition: str, points: list[float]) -> None:
    graph = _gradient(_net(nodes, condition), ["x", "e"], "y")
    by_x, by_e = _run(graph, _feeds(points))
    np.testing.assert_array_equal(by_x, np.ones(len(points)))
    np.testing.assert_array_equal(by_e, 0)


# A slope that is a product has two factors that may be infinite, and only one is left out.
TWICE = [row for row in LEFT_OUT if "Reciprocal" not in row[0] and "Acosh" not in row[0]]


@pytest.mark.parametrize(("nodes", "condition", "points"), TWICE)
def test_second_order_where_a_where_leaves_out(
    nodes: str, condition: str, points: list[float]
) -> None:
    twice = second_order(_case(_net(nodes, condition), points))
    by_x, by_seed = twice.run_gradient({f"seed/{twice.of[0]}": np.ones(len(points), np.float32)})
    np.testing.assert_array_equal(by_seed, np.ones(len(points)))
    np.testing.assert_array_equal(by_x, 0)


def test_a_cotangent_of_0_can_still_be_differentiated() -> None:
    """Elsewhere the rule stays linear in the cotangent, so that seeds of 0 give the slope."""
    twice = second_order(_case(_net("f = Log(x)", "x > 0"), [4.0, -1.0]))
    twice.feeds["first-seed/y"][:] = 0
    _, slope = twice.run_gradient({f"seed/{twice.of[0]}": np.ones(2, np.float32)})
    np.testing.assert_array_equal(slope, [0.25, 1.0])


def _case(net: ir.Model, points: list[float]) -> Case:
    return Case(ir.to_proto(net), _feeds(points), ("x",), ("y",), "onnxruntime")


def test_what_is_not_left_out_stays_infinite() -> None:
    net = _net("f = Sqrt(x)", "x < 0")  # of x itself, where x is not below 0
    graph = _gradient(net, ["x"], "f")
    [gradient] = _run(graph, _feeds([0.0, 4.0]))
    np.testing.assert_array_equal(gradient, [INF, 0.25])


@pytest.mark.parametrize(
    ("of", "guarded"), [("y", True), ("f", False)], ids=["with a Where", "without"]
)
def test_only_what_a_where_takes_costs_more(of: str, guarded: bool) -> None:
    graph = _gradient(_net("f = Sqrt(x)", "x > 0"), ["x"], of)
    assert ("IsNaN" in {node.op_type for node in graph.graph}) == guarded
