"""Slices that cover an axis lie side by side, and rows of a table go where they belong; what else
arrives at a value has zeros around it and is added.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from portgrad.autodiff import gradient_graph
from portgrad.engine import load
from support.engine import engine_net

# The slices of an axis of 6 (axis, start, end, factor), and whether they cover it once.
SLICES = {
    "in order": ([(1, 0, 2, 2.0), (1, 2, 3, 3.0), (1, 3, 6, 5.0)], True),
    "in another order": ([(1, 3, 6, 5.0), (1, 0, 3, 2.0)], True),
    "from the end": ([(-1, -3, 6, 5.0), (1, 0, -3, 2.0)], True),
    "one of them twice": ([(1, 0, 3, 2.0), (1, 3, 6, 5.0), (1, 0, 3, 7.0)], True),
    "and the whole": ([(1, 0, 3, 2.0), (1, 3, 6, 5.0), (1, 0, 6, 7.0)], True),
    "both axes": ([(1, 0, 3, 2.0), (1, 3, 6, 5.0), (0, 0, 1, 7.0), (0, 1, 6, 11.0)], True),
    "a gap": ([(1, 0, 2, 2.0), (1, 3, 6, 5.0)], False),
    "no end": ([(1, 0, 2, 2.0), (1, 2, 5, 5.0)], False),
    "no start": ([(1, 1, 2, 2.0), (1, 2, 6, 5.0)], False),
    "an overlap": ([(1, 0, 4, 2.0), (1, 3, 6, 5.0)], False),
    "one": ([(1, 2, 4, 2.0)], False),
}


def _net(slices: list[tuple[int, int, int, float]], rows: int | str) -> bytes:
    """The squares of each slice, times its factor, summed, and all added up."""
    nodes, weights, sums = [], [], []
    for k, (axis, start, end, factor) in enumerate(slices):
        held = {"start": [start], "end": [end], "axis": [axis]}
        weights += [numpy_helper.from_array(np.array(v), f"{n}{k}") for n, v in held.items()]
        weights.append(numpy_helper.from_array(np.array(factor), f"factor{k}"))
        nodes += [
            helper.make_node("Slice", ["x", f"start{k}", f"end{k}", f"axis{k}"], [f"slice{k}"]),
            helper.make_node("Mul", [f"slice{k}", f"slice{k}"], [f"square{k}"]),
            helper.make_node("Mul", [f"square{k}", f"factor{k}"], [f"product{k}"]),
            helper.make_node("ReduceSum", [f"product{k}"], [f"sum{k}"], keepdims=0),
        ]
        sums.append(f"sum{k}")
    nodes.append(helper.make_node("Sum", sums, ["y"]))
    ports = [helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, [rows, 6])]
    ends = [helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, [])]
    graph = helper.make_graph(nodes, "slices", ports, ends, weights)
    imports = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()


@pytest.mark.parametrize("rows", [6, "N"], ids=["fixed", "open"])
@pytest.mark.parametrize("name", SLICES)
def test_the_gradient_is_the_sum_of_factors(name: str, rows: int | str) -> None:
    slices, covered = SLICES[name]
    want = np.zeros((6, 6))
    for axis, start, end, factor in slices:
        np.moveaxis(want, axis, 0)[start:end] += factor
    net = load(_net(slices, rows))
    x = np.arange(36.0).reshape(6, 6)
    np.testing.assert_array_equal(net.gradient({"x": x})["x"], 2 * want * x)
    np.testing.assert_array_equal(net.hvp({"x": x}, tangents={"x": x})["x"], 2 * want * x)
    operators = [node.op_type for node in net._model.graph]
    graph = gradient_graph(net._model, wrt=["x"], of=["y"]).model.graph
    added = [node.op_type for node in graph][len(operators) :]
    fixed = rows == 6 or name != "both axes"
    assert ("Pad" not in added and "Concat" in added) is (covered and fixed)


# What else reads a table of 700 rows, some of which are taken as h; what its gradient has of it
# beside those rows, from the cotangent of z and those.
TABLES = {
    "its product": "e = Transpose<perm = [1, 0]>(t) z = MatMul(h, e)",
    "other rows": "g = Gather(t, more) z = Mul(h, g)",
    "its sum": "s = ReduceSum<keepdims = 0>(t, axes) z = Mul(h, s)",
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_added_to_what_else_arrives_at_a_table(name: str) -> None:
    draw = np.random.default_rng(0).standard_normal
    weights = {"t": draw((700, 6)), "more": np.array([3, 3, -1, 8, 5]), "axes": np.array([0])}
    body = f"{{ h = Gather(t, x) {TABLES[name]} y = Mul(z, z) }}"
    net = engine_net(f"(int64[N] x) => (double[N,M] y) {body}", weights)
    tokens = {"x": np.array([3, 699, 3, -692, -1])}  # 3, 8 and the last one come again

    def gradient(step: float) -> np.ndarray:
        moved = {"t": weights["t"] + step * direction}
        return net.gradient(tokens, wrt=["t"], parameters=moved)["t"]

    def value(step: float) -> float:
        moved = {"t": weights["t"] + step * direction}
        return float(net.evaluate(tokens, parameters=moved)["y"].sum())

    direction = draw((700, 6))
    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    np.testing.assert_allclose(np.vdot(gradient(0), direction), slope, rtol=1e-7)
    curved = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    found = net.hvp(tokens, wrt=["t"], tangents={"t": direction})["t"]
    np.testing.assert_allclose(found, curved, rtol=1e-6, atol=1e-6)
    graph = gradient_graph(net._model, wrt=["t"], of=["y"]).model.graph
    assert not [
        n for n in graph if n.op_type == "Add" and list(n.outputs[0].shape or ()) == [700, 6]
    ]


def test_rows_in_half_precision_are_added_as_a_table() -> None:
    table = np.random.default_rng(0).standard_normal((700, 6)).astype(np.float16)
    body = "{ h = Gather(t, x) e = Transpose<perm = [1, 0]>(t) y = MatMul(h, e) }"
    net = engine_net(f"(int64[N] x) => (float16[N,700] y) {body}", {"t": table})
    want = np.tile(table[[3, 3, 8]].astype(float).sum(0), (700, 1))
    np.add.at(want, [3, 3, 8], table.astype(float).sum(0))
    found = net.gradient({"x": np.array([3, 3, 8])}, wrt=["t"])["t"]
    np.testing.assert_allclose(found, want, rtol=2e-2, atol=0.1)
