"""Nets as they are trained: statistics of the batch, and what is derived from seeded loops."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.autodiff.products import hvp_graph, jvp_graph
from portgrad.autodiff.randomness import draws, say_batch_statistics, seeded, takes_batch_statistics
from portgrad.autodiff.survey import survey
from portgrad.errors import Unsupported
from portgrad.graph.batching import apart, batched
from support.rig import Case, check_adjoint, second_order
from support.seeded_nets import loaded, run, trained

X = np.array([0.3, -0.7, 1.1])
W = np.array([[0.5, -0.2, 0.1], [0.3, 0.4, -0.6], [-0.1, 0.2, 0.7]])
MANY = np.arange(12.0).reshape(4, 3) / 7.0 - 0.6

# -- statistics of the batch -----------------------------------------------------------------------

NORMALISED = """
    (double[n, 3] x, double[3] s, double[3] b, double[3] m, double[3] v) => (double y) {
        y = BatchNormalization<epsilon = 0.125>(x, s, b, m, v)
    }
"""


def test_training_uses_the_statistics_of_the_batch() -> None:
    model = loaded(NORMALISED)
    net = seeded(model, train=True)
    assert takes_batch_statistics(model)
    assert not draws(model, train=True)
    feeds = {"x": MANY, "s": W[0], "b": X, "m": W[1], "v": 0.1 + W[2] ** 2}
    [y] = run(net, feeds)
    expected = (MANY - MANY.mean(0)) / np.sqrt(MANY.var(0) + 0.125) * W[0] + X
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    say_batch_statistics(net)  # the runtime's own kernel overwrites its operands
    which = Case(ir.to_proto(net), feeds, tuple(feeds), ("y",))
    gradients = check_adjoint(which, step=1e-5, tolerance=1e-7)
    assert not gradients["m"].any()
    assert not gradients["v"].any()
    check_adjoint(second_order(which), step=1e-5, tolerance=1e-6)
    [unchanged] = run(seeded(model, train=False), feeds)
    given = (MANY - feeds["m"]) / np.sqrt(feeds["v"] + 0.125) * W[0] + X
    np.testing.assert_allclose(unchanged, given, rtol=1e-12)


def test_running_statistics_that_the_file_names_stay() -> None:
    net = trained(
        "(double[n, 3] x, double[3] s, double[3] b, double[3] m, double[3] v)"
        " => (double y, double p, double q) {"
        " y, p, q = BatchNormalization<training_mode = 1, momentum = 0.5>(x, s, b, m, v) }"
    )
    feeds = {"x": MANY, "s": W[0], "b": X, "m": W[1], "v": 0.1 + W[2] ** 2}
    _, mean, variance = run(net, feeds)
    np.testing.assert_allclose(mean, (MANY.mean(0) + feeds["m"]) / 2, rtol=1e-12)
    np.testing.assert_allclose(variance, (MANY.var(0) + feeds["v"]) / 2, rtol=1e-12)


def test_examples_that_meet_in_statistics_are_no_batch_over_a_fixed_1() -> None:
    body = "y = BatchNormalization(x, s, s, s, s)"
    model = loaded(f"(float[1, 3] x) => (float y) <float[3] s = {{1, 2, 3}}> {{ {body} }}")
    assert batched(seeded(model, train=False), ["x"]) is not None
    assert batched(seeded(model, train=True), ["x"]) is None


def test_statistics_of_each_element_are_not_trained() -> None:
    body = "[old] y = BatchNormalization<spatial = 0>(x, s, s, s, s)"
    model = loaded(f"(float[n, 3] x, float[3] s) => (float y) {{ {body} }}", opset=8)
    assert [node.op_type for node in seeded(model, train=False).graph][-1] == "Add"
    with pytest.raises(Unsupported, match="BatchNormalization node 'old' keeps statistics"):
        seeded(model, train=True)


# -- what is derived from seeded loops -------------------------------------------------------------

LOOP = """
    (double[3] x, double[3, 3] w) => (double y) {
    n = Constant<value = int64 {4}>()
    go = Constant<value = bool {1}>()
    y = Loop(n, go, x) <body = step (int64 i, bool c, double[3] s) => (bool d, double[3] t) {
        m = MatMul(s, w)
        u = RandomNormalLike(m)
        p = Mul(m, u)
        q = Dropout(p)
        t = Tanh(q)
        d = Identity(c)
    }> }
"""
FEEDS = {"x": X, "w": 3 * W}
V = np.array([[0.2, -1.0, 0.4], [1.0, 0.1, -0.3], [0.6, 0.5, 0.9]])
STEP = 1e-5


def _moved(by: float) -> dict[str, np.ndarray]:
    return {"x": X, "w": 3 * W + by * V}


def test_a_tangent_sees_the_draws_of_the_outputs() -> None:
    net = trained(LOOP)
    graph = jvp_graph(net, tangents=["w"], of=["y"], outputs=["y"])
    y, tangent = run(graph.model, {**FEEDS, "tangent/w": V}, 3)
    np.testing.assert_array_equal(y, run(net, FEEDS, 3)[0])
    ahead, behind = (run(net, _moved(by), 3)[0] for by in (STEP, -STEP))
    assert np.abs(tangent).max() > 0.01
    np.testing.assert_allclose(tangent, (ahead - behind) / (2 * STEP), atol=1e-7)


def test_a_product_with_the_hessian_sees_them_too() -> None:
    net = trained(LOOP)
    first = gradient_graph(net, wrt=["x"], of=["y"]).model
    graph = hvp_graph(net, wrt=["x"], tangents=["w"], of=["y"])
    [product] = run(graph.model, {**FEEDS, "tangent/w": V}, 3)
    ahead, behind = (run(first, _moved(by), 3)[0] for by in (STEP, -STEP))
    assert np.abs(product).max() > 0.01
    np.testing.assert_allclose(product, (ahead - behind) / (2 * STEP), atol=1e-7)


def test_stacked_seeds_share_the_draws() -> None:
    net = trained(LOOP)
    one = gradient_graph(net, wrt=["w"], of=["y"], seeds=["y"]).model
    many = gradient_graph(net, wrt=["w"], of=["y"], seeds=["y"], stacked=True).model
    [stack] = run(many, {**FEEDS, "seed/y": V}, 3)
    for seed, found in zip(V, stack, strict=True):
        np.testing.assert_allclose(found, run(one, {**FEEDS, "seed/y": seed}, 3)[0], rtol=1e-12)


@pytest.mark.parametrize("batch", ["n", "1"])
def test_gradients_by_example_share_no_draws_and_add_up(batch: str) -> None:
    net = trained(
        f"(double[{batch}, 3] x, double[3, 3] w) => (double y) {{"
        " a = Dropout(x) m = MatMul(a, w) d = Dropout(m) y = Tanh(d) }"
    )
    found = apart(net, ["x"])
    assert found is not None
    feeds = {"x": MANY, "w": W}
    each, total = (
        run(gradient_graph(found.model, wrt=["w"], of=["y"], apart=axes).model, feeds, 3)[0]
        for axes in (found.axis, None)
    )
    assert each.shape == (4, 3, 3)
    assert len({(example != 0).tobytes() for example in each}) == 4
    np.testing.assert_allclose(each.sum(0), total, rtol=1e-12)


UNSEEDED = LOOP.replace("q = Dropout(p)", "q = Identity(p)")


def test_a_body_that_would_draw_anew_is_refused() -> None:
    model = loaded(UNSEEDED)
    with pytest.raises(Unsupported, match="draws at random in a body") as caught:
        gradient_graph(model, wrt=["w"], of=["y"])
    assert caught.value.where == "u"


def test_a_survey_finds_no_obstacle_in_a_draw() -> None:
    found = survey(loaded(UNSEEDED), ["x", "w"], ["y"])
    assert found.obstacles == ()
    assert "ai.onnx.RandomNormalLike" in {used.operator for used in found.operators}


def test_a_survey_counts_the_nodes_of_the_file() -> None:
    found = survey(loaded("(float[2] x) => (float y) { y = RandomNormalLike(x) }"), ["x"], ["y"])
    assert [(used.operator, used.count) for used in found.operators] == [
        ("ai.onnx.RandomNormalLike", 1)
    ]
