"""Tangents pushed forward, products with Hessians, and many of either in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import parser

from portgrad.autodiff import GradientGraph, gradient_graph, hvp_graph, jvp_graph
from support.double import Arrays, moved, runner

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
