"""Tangents pushed forward, products with Hessians, and many of either in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import parser

from portgrad.autodiff import GradientGraph, gradient_graph, hvp_graph, jvp_graph
from portgrad.errors import InvalidRequest
from support.double import Arrays, moved, runner
from support.engine import engine_net, random

STEP = 1e-5

MLP = """<ir_version: 10, opset_import: ["" : 21]>
net (double[N,3] x, double[3,4] w, double[4] b) => (double[N,2] y, double[4] apart) {
  h = MatMul(x, w)
  z = Add(h, b)
  t = Tanh(z)
  u = Constant <value: tensor = double[4,2] {0.5, -1, 2, 0.25, 1, -0.5, 0.75, 1.5}> ()
  v = MatMul(t, u)
  y = Sigmoid(v)
  apart = Mul(b, b)
}"""


def net_of(text: str) -> ir.Model:
    model = parser.parse_model(text)
    return ir.from_proto(onnx.shape_inference.infer_shapes(model, strict_mode=True))


def run_of(graph: GradientGraph) -> Callable[[Arrays], list[np.ndarray]]:
    proto = ir.to_proto(graph.model)
    onnx.checker.check_model(proto, full_check=True)
    return runner(proto, engine="onnxruntime")


def drawn(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(tuple(shape))


FEEDS = {"x": drawn((2, 3), 1), "w": drawn((3, 4), 2), "b": drawn((4,), 3)}
SHAPES = {"x": (2, 3), "w": (3, 4), "b": (4,), "h": (2, 4), "z": (2, 4)}


def tangents_of(*names: str, count: int | None = None) -> Arrays:
    lead = () if count is None else (count,)
    return {f"tangent/{name}": drawn((*lead, *SHAPES[name]), len(name)) for name in names}


def test_jvp_is_the_difference_along_the_tangents() -> None:
    graph = jvp_graph(net_of(MLP), tangents=["x", "b"], of=["y", "apart"], outputs=["y"])
    tangents = tangents_of("x", "b")
    y, *found = run_of(graph)({**FEEDS, **tangents})
    forward = runner(ir.to_proto(net_of(MLP)))
    ways = {name: tangents[f"tangent/{name}"] for name in ("x", "b")}
    ahead, behind = (forward(moved(FEEDS, ways, step)) for step in (STEP, -STEP))
    np.testing.assert_array_equal(y, forward(FEEDS)[0])
    for a, b, t in zip(ahead, behind, found, strict=True):
        np.testing.assert_allclose(t, (a - b) / (2 * STEP), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 2, 1), (3, 1, 2), (3, 2, 3), (2, 2), (3, 1, 1), (3, 1, 4)])
def test_stacked_seeds_of_another_shape_fail(shape: tuple[int, ...]) -> None:
    graph = gradient_graph(net_of(MLP), wrt=["x"], of=["y"], seeds=["y"], stacked=True)
    run = run_of(graph)
    run({**FEEDS, "seed/y": drawn((3, 2, 2))})
    with pytest.raises(Exception, match=r"invalid dimensions|Invalid rank|cannot be reshaped"):
        run({**FEEDS, "seed/y": drawn(shape)})


def test_stacked_is_what_each_alone_gives() -> None:
    net, seeds = net_of(MLP), {"y": drawn((3, 2, 2)), "apart": drawn((3, 4), 1)}
    settings = {"wrt": ["x", "h", "b"], "of": list(seeds), "seeds": list(seeds)}
    one = run_of(gradient_graph(net, **settings))
    many = run_of(gradient_graph(net, **settings, stacked=True))
    found = many({**FEEDS, **{f"seed/{name}": seed for name, seed in seeds.items()}})
    for k in range(3):
        alone = one({**FEEDS, **{f"seed/{name}": seed[k] for name, seed in seeds.items()}})
        for a, b in zip(alone, found, strict=True):
            np.testing.assert_array_equal(b[k], a)


def test_what_no_seed_reaches_is_repeated() -> None:
    settings = {"wrt": ["x", "b"], "of": ["y", "apart"], "seeds": ["apart"], "outputs": ["y"]}
    _, x, b = run_of(gradient_graph(net_of(MLP), **settings, stacked=True))(
        {**FEEDS, "seed/apart": drawn((3, 4))}
    )
    _, one, _ = run_of(gradient_graph(net_of(MLP), **settings))(
        {**FEEDS, "seed/apart": drawn((4,))}
    )
    assert b.shape == (3, 4)
    np.testing.assert_array_equal(x, [one] * 3)


def test_a_stack_that_reaches_nothing_asked() -> None:
    """As in a product with the Hessian of a linear net, which is 0 for every tangent."""
    settings = {"wrt": ["x"], "of": ["y", "apart"], "seeds": ["apart"]}
    (x,) = run_of(gradient_graph(net_of(MLP), **settings, stacked=True))(
        {**FEEDS, "seed/apart": drawn((3, 4))}
    )
    (one,) = run_of(gradient_graph(net_of(MLP), **settings))({**FEEDS, "seed/apart": drawn((4,))})
    np.testing.assert_array_equal(x, [one] * 3)


def test_hvp_at_an_inner_value_is_the_difference_of_its_gradient() -> None:
    """Also where the rule of what computes it reads it, as that of Tanh does."""
    net, seed = net_of(MLP), {"seed/y": drawn((2, 2), 9)}
    way = tangents_of("x")
    gradient = run_of(gradient_graph(net, wrt=["t"], of=["y"], seeds=["y"]))
    ahead, behind = (
        gradient({**moved(FEEDS, {"x": way["tangent/x"]}, s), **seed})[0] for s in (STEP, -STEP)
    )
    run = run_of(
        hvp_graph(net, wrt=["t"], tangents=["x"], of=["y"], seeds=["y"], outputs=["t", "y"])
    )
    t, y, found = run({**FEEDS, **seed, **way})
    np.testing.assert_allclose(found, (ahead - behind) / (2 * STEP), rtol=1e-7, atol=1e-7)
    again = run_of(gradient_graph(net, wrt=["t"], of=["y"], outputs=["t", "y"]))(FEEDS)
    np.testing.assert_array_equal(t, again[0])
    np.testing.assert_array_equal(y, again[1])


def test_hvp_is_symmetric_and_the_difference_of_gradients() -> None:
    net, names = net_of(MLP), ["x", "w", "b", "z"]
    run = run_of(hvp_graph(net, wrt=names, tangents=names, of=["y"], seeds=["y"]))
    seed = {"seed/y": drawn((2, 2), 9)}
    u, v = ({f"tangent/{n}": drawn(SHAPES[n], s + len(n)) for n in names} for s in (20, 30))
    hu, hv = (run({**FEEDS, **seed, **t}) for t in (u, v))
    uhv, vhu = (
        sum(np.vdot(a, b) for a, b in zip(h, t.values(), strict=True))
        for h, t in ((hv, u), (hu, v))
    )
    assert abs(uhv - vhu) <= 1e-12 * abs(uhv)
    ports = ["x", "w", "b"]
    run = run_of(hvp_graph(net, wrt=ports, tangents=ports, of=["y"], seeds=["y"]))
    gradient = run_of(gradient_graph(net, wrt=ports, of=["y"], seeds=["y"]))
    ways = {name: u[f"tangent/{name}"] for name in ports}
    ahead, behind = (gradient({**moved(FEEDS, ways, s), **seed}) for s in (STEP, -STEP))
    found = run({**FEEDS, **seed, **{f"tangent/{name}": way for name, way in ways.items()}})
    for a, b, h in zip(ahead, behind, found, strict=True):
        np.testing.assert_allclose(h, (a - b) / (2 * STEP), rtol=1e-7, atol=1e-7)


def test_a_third_derivative_is_the_difference_of_second_ones() -> None:
    """The Hessian's product is a net, too: how it moves is the third derivative."""
    net, names = net_of(MLP), ["x", "w"]
    second = hvp_graph(net, wrt=names, tangents=names, of=["y"])
    ports = {f"tangent/{name}": f"first/{name}" for name in names}
    for value in second.model.graph.inputs:
        value.name = ports.get(str(value.name), value.name)
    third = jvp_graph(second.model, tangents=names, of=[f"hvp/{name}" for name in names])
    u, v = ({n: drawn(SHAPES[n], s) for n in names} for s in (40, 50))
    given = {**FEEDS, **{f"first/{name}": way for name, way in u.items()}}
    found = run_of(third)({**given, **{f"tangent/{name}": way for name, way in v.items()}})
    run = run_of(second)
    ahead, behind = (run(moved(given, v, s)) for s in (STEP, -STEP))
    for a, b, t in zip(ahead, behind, found, strict=True):
        np.testing.assert_allclose(t, (a - b) / (2 * STEP), rtol=1e-6, atol=1e-7)


LOOP = """<ir_version: 10, opset_import: ["" : 21]>
net (double[3] x, double[3] w) => (double[3] y) {
  n = Constant <value = int64 {4}> ()
  go = Constant <value = bool {1}> ()
  y = Loop (n, go, x) <body = step (int64 i, bool c, double[3] s) => (bool d, double[3] t) {
    p = Mul(s, w)
    t = Sin(p)
    d = Identity(c)
  }>
}"""


def test_a_third_derivative_of_a_loop() -> None:
    net = net_of(LOOP)
    once = jvp_graph(net, tangents=["x"], of=["y"]).model
    for count in (1, 2):
        [port] = [value for value in once.graph.inputs if value.name == "tangent/x"]
        port.name = f"way/{count}"
        [end] = once.graph.outputs
        end.name = f"order/{count}"
        graph = jvp_graph(once, tangents=["x"], of=[f"order/{count}"])
        once = graph.model
    feeds = {"x": drawn((3,), 1), "w": drawn((3,), 2)}
    ways = {f"way/{k}": drawn((3,), k + 5) for k in (1, 2)}
    way = drawn((3,), 9)
    [third] = run_of(graph)({**feeds, **ways, "tangent/x": way})
    run = runner(ir.to_proto(net), engine="onnxruntime")

    def value(*steps: float) -> np.ndarray:
        along = zip(steps, (*ways.values(), way), strict=True)
        return run({**feeds, "x": feeds["x"] + sum(s * w for s, w in along)})[0]

    h = 1e-2  # h² times the fifth derivatives, extrapolated once
    signs = [(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    coarse, fine = (
        sum(a * b * c * value(a * s, b * s, c * s) for a, b, c in signs) / (2 * s) ** 3
        for s in (2 * h, h)
    )
    np.testing.assert_allclose(third, (4 * fine - coarse) / 3, rtol=1e-5, atol=1e-5)


GUARDED = """<ir_version: 10, opset_import: ["" : 21]>
net (double[4] x) => (double[4] root, double[4] safe) {
  root = Sqrt(x)
  none = Constant <value = double {0}> ()
  over = Greater(x, none)
  safe = Where(over, root, none)
}"""


def test_an_infinite_slope_is_met_where_the_tangent_is() -> None:
    """0 moves a root by infinitely much, and not at all where it does not move itself."""
    run = run_of(jvp_graph(net_of(GUARDED), tangents=["x"], of=["root", "safe"]))
    x, way = np.array([0.0, 0.0, 4.0, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])
    root, safe = run({"x": x, "tangent/x": way})
    np.testing.assert_array_equal(root, [0.0, np.inf, 0.0, 0.25])
    np.testing.assert_array_equal(safe, [0.0, 0.0, 0.0, 0.25])


def test_a_remainder_bends_where_nothing_is_asked_of_it() -> None:
    """A cotangent of 0 is a number like others: <g, t> = s q t moves with s there."""
    net = net_of("""<ir_version: 10, opset_import: ["" : 21]>
        net (double[2] a, double[2] b) => (double[2] y) { y = Mod <fmod = 1> (a, b) }""")
    once = gradient_graph(net, wrt=["b"], of=["y"], seeds=["y"])
    for value in (*once.model.graph.inputs, *once.model.graph.outputs):
        value.name = {"seed/y": "s", "grad/b": "g"}.get(str(value.name), value.name)
    feeds = {"a": np.array([7.5, 5.0]), "b": np.array([2.0, 3.0]), "s": np.array([0.0, 1.0])}
    [found] = run_of(gradient_graph(once.model, wrt=["s"], of=["g"]))(feeds)
    np.testing.assert_array_equal(found, [-3.0, -1.0])


def taken(name: str) -> ir.Model:
    """The net with an inner value of some name."""
    text = MLP.replace("h = MatMul(x, w)", f'"{name}" = MatMul(x, w)')
    return net_of(text.replace("Add(h, b)", f'Add("{name}", b)'))


def test_a_tangent_whose_name_the_net_has_is_refused() -> None:
    net = taken("tangent/x")
    with pytest.raises(InvalidRequest, match="tangent/x"):
        jvp_graph(net, tangents=["x"], of=["y"])
    with pytest.raises(InvalidRequest, match="tangent/x"):
        hvp_graph(net, wrt=["w"], tangents=["x"], of=["y"])


def test_results_whose_names_the_net_has_get_others() -> None:
    tangents = tangents_of("x")
    [want] = run_of(jvp_graph(net_of(MLP), tangents=["x"], of=["y"]))({**FEEDS, **tangents})
    graph = jvp_graph(taken("jvp/y"), tangents=["x"], of=["y"], outputs=["jvp/y"])
    h, found = run_of(graph)({**FEEDS, **tangents})
    np.testing.assert_array_equal(h, FEEDS["x"] @ FEEDS["w"])
    np.testing.assert_array_equal(found, want)


def test_warnings_of_both_orders() -> None:
    net = net_of("""<ir_version: 10, opset_import: ["" : 21]>
        net (double[2] x) => (double[2] y) { r = Round(x) z = Mul(r, x) y = Abs(z) }""")
    for graph in (
        jvp_graph(net, tangents=["x"], of=["y"]),
        hvp_graph(net, wrt=["x"], tangents=["x"], of=["y"]),
    ):
        assert any("Round" in warning for warning in graph.warnings)
        assert len(set(graph.warnings)) == len(graph.warnings)


def test_tangents_go_through_attention_whose_sizes_are_not_known() -> None:
    net = engine_net(
        "(float[N,T,A] x) => (float[N,T,A] y) "
        "{ y = Attention<q_num_heads = 2, kv_num_heads = 2>(x, x, x) }",
        opset=23,
    )
    x, tangent = random(2, 3, 4), random(2, 3, 4, seed=1)
    found = net.jvp(x, tangents={"x": tangent})["y"]
    step = 1e-2
    ahead, behind = (net.evaluate(x + sign * step * tangent)["y"] for sign in (1, -1))
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=1e-2, atol=2e-3)
