"""Calls of one example of a small net run on a graph of its own, and find what others find."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.engine.foreseen import takes_little
from portgrad.engine.one_example import for_one
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import engine_net, net_bytes, random, refusal

WEIGHTS = {"w": random(6, 5), "b": random(5, seed=1), "v": random(5, 3, seed=2)}
LAYERS = "{ h = Gemm(x, w, b) r = Relu(h) y = MatMul(r, v) }"
TIMES = "{ h = MatMul(x, w) y = Mul(h, u) }"
NETS = {
    "layers": f"(float[N,6] x) => (float[N,3] y) {LAYERS}",
    "a size without a name": f"(float[?,6] x) => (float[?,3] y) {LAYERS}",
    "products alone": "(float[N,6] x) => (float[N,5] y) { h = MatMul(x, w) y = Mul(h, b) }",
    "a softmax": "(float[N,6] x) => (float[N,5] y) { h = Gemm(x, w, b) y = Softmax(h) }",
    "two ports": f"(float[N,6] x, float[N,5] u) => (float[N,5] y) {TIMES}",
    "two sizes": f"(float[N,6] x, float[M,5] u) => (float[P,5] y) {TIMES}",
    "sizes that are asked": """(float[N,6] x) => (float[N,3,2] y) {
        n = Shape<end = 1>(x) s = Constant<value = int64[2] {3, 2}>() t = Concat<axis = 0>(n, s)
        h = Reshape(x, t) y = Exp(h) }""",
    "a mean over the examples": """(float[N,6] x) => (float[1,5] y) {
        h = MatMul(x, w) a = Constant<value = int64[1] {0}>() m = ReduceMean(h, a) y = Exp(m) }""",
    "examples that meet": """(float[N,6] x) => (float[N,6] y) {
        a = Constant<value = int64[1] {0}>() m = ReduceSum(x, a) y = Mul(x, m) }""",
}  # fmt: skip


def _net(body: str) -> Any:
    return engine_net(body, {n: w for n, w in WEIGHTS.items() if f", {n}" in body})


def _ports(net: Any, rows: int) -> dict[str, Any]:
    sizes = {"x": 6, "u": 5}
    return {name: random(rows, sizes[name], seed=7) for name in net.names.inputs}


def _sessions(net: Any) -> list[Any]:
    found = net._variants._sessions._entries
    return [entry.made for key, entry in found.items() if "session" in key]


@pytest.mark.parametrize("name", NETS)
def test_one_example_finds_what_it_finds_on_the_graph_for_many(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = _asked(NETS[name], one=True)
    monkeypatch.setattr("portgrad.engine.executor.for_one", lambda _: None)
    for some, others in zip(mine, _asked(NETS[name], one=False), strict=True):
        assert list(some) == list(others)
        for target in some:
            assert some[target].shape == others[target].shape
            np.testing.assert_allclose(some[target], others[target], rtol=1e-5, atol=1e-6)


def _asked(body: str, *, one: bool) -> list[Any]:
    net = _net(body)
    data = _ports(net, 1)
    y = net.evaluate(data)["y"]
    found = [
        net.gradient(data, wrt="all", output_gradients={"y": random(3, *y.shape)}, stacked=True),
        net.gradient(data, wrt="all"),
        net.gradient(data, wrt="all", precision="float64"),
        net.gradient(data, output_gradients={"y": random(1, seed=3)}),
        net.hvp(data, tangents={"x": random(1, 6, seed=4)}),
        net.jvp(data, tangents={"x": random(1, 6, seed=4)}),
    ]
    assert {compiled.one for compiled in _sessions(net)} == {one}
    return [*found, {"y": y}]


@pytest.mark.parametrize("rows", ["1", "N"])
def test_the_default_gradient_is_to_the_last_bit_that_of_imposed_ones(rows: str) -> None:
    weights = {"w": random(6, 50), "b": random(50, seed=1), "v": random(50, 30, seed=2)}
    net = engine_net(f"(float[{rows},6] x) => (float[{rows},30] y) {LAYERS}", weights)
    x = random(1, 6, seed=3)
    default = net.gradient(x, wrt="all")
    imposed = net.gradient(x, wrt="all", output_gradients={"y": np.ones((1, 30), np.float32)})
    for target, found in default.items():
        np.testing.assert_array_equal(found, imposed[target])


@pytest.mark.parametrize("name", NETS)
def test_it_agrees_with_differences(name: str) -> None:
    net = _net(NETS[name])
    report = net.gradcheck(_ports(net, 1), wrt="all")
    assert report.ok
    assert any(compiled.one for compiled in _sessions(net))


def test_an_example_without_its_axis_takes_the_same_session() -> None:
    net = _net(NETS["layers"])
    x = random(1, 6)
    whole, alone = net.gradient(x), net.gradient(x[0])
    np.testing.assert_array_equal(whole["x"][0], alone["x"])
    assert [compiled.one for compiled in _sessions(net)] == [True]
    many = net.gradient(np.concatenate([x, random(2, 6, seed=1)]))
    np.testing.assert_allclose(many["x"][:1], whole["x"], rtol=1e-5, atol=1e-6)
    assert [compiled.one for compiled in _sessions(net)] == [True, False]


def test_one_of_one_size_and_many_of_another_are_not_one() -> None:
    net = _net("(float[N,6] x, float[M,5] u) => (float[M,5] y) { h = MatMul(x, w) y = Mul(h, u) }")
    x, u = random(1, 6), random(3, 5, seed=1)
    np.testing.assert_allclose(
        net.gradient({"x": x, "u": u})["x"], (u @ WEIGHTS["w"].T).sum(0)[None], rtol=1e-5
    )
    assert [compiled.one for compiled in _sessions(net)] == [False]


@pytest.mark.parametrize("rows", ["1", "N"])
def test_shapes_are_looked_at_where_data_may_decide_them(rows: str) -> None:
    net = engine_net(f"(float[{rows},6] x) => (float[{rows},3] y) {LAYERS}", WEIGHTS)
    net.gradient(random(1, 6), wrt="all")
    [compiled] = _sessions(net)
    assert compiled.one == compiled.session.sized == (rows == "N")


@pytest.mark.parametrize(
    ("body", "little"),
    [
        ("(float[1,6] x) => (float[1,3] y)" + LAYERS, True),
        ("(float[N,6] x) => (float[N,3] y)" + LAYERS, False),
        ("(float[30000,6] x) => (float[30000,3] y)" + LAYERS, False),
        (
            "(float[6] x) => (float[K] y) { p = Cast<to = 9>(x) y = Compress<axis = 0>(x, p) }",
            False,
        ),
    ],
)
def test_which_graphs_are_known_to_take_little_memory(body: str, little: bool) -> None:
    weights = {n: w for n, w in WEIGHTS.items() if f", {n}" in body}
    assert takes_little(load(NetFiles(net_bytes(body, weights))).graph) == little


REFUSED = {
    "all sizes are known": "(float[2,6] x) => (float[2,6] y) { y = Exp(x) }",
    "many elements": "(float[N,16385] x) => (float[N,16385] y) { y = Exp(x) }",
    "many inside": """(float[N,129] x) => (float[N] y) {
        t = Transpose<perm = [1, 0]>(x) h = MatMul(t, x) a = Constant<value = int64[1] {1}>()
        y = ReduceSum<keepdims = 0>(h, a) }""",
    "a size that data decide": """(float[N] x) => (float[K] y) {
        p = Cast<to = 9>(x) y = Compress<axis = 0>(x, p) }""",
    "a body": """(float[N] x, bool c) => (float[N] y) {
        y = If(c) <then_branch = t () => (float[N] p) { p = Exp(x) },
                   else_branch = e () => (float[N] q) { q = Sin(x) }> }""",
    "a shape that onnx misreads": """(float[N,8,1] x) => (float[N,8,2] y) {
        y = DFT<axis = 1>(x) }""",
    "many nodes": "(float[N] x) => (float[N] y) { a0 = Exp(x) "
    + " ".join(f"a{k + 1} = Sin(a{k})" for k in range(256))
    + " y = Exp(a256) }",
    "sizes that contradict one another": """(float[N,6] x) => (float[N,12] y) {
        s = Constant<value = int64[2] {2, 6}>() h = Reshape(x, s) y = Concat<axis = 1>(h, x) }""",
}  # fmt: skip


def _for_one(body: str, opset: int = 21) -> ir.Model | None:
    return for_one(load(NetFiles(net_bytes(body, opset=opset))))


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_no_small_net_of_open_sizes(why: str) -> None:
    assert _for_one(REFUSED[why], 19 if "DFT" in REFUSED[why] else 21) is None


def test_what_is() -> None:
    one = _for_one("(float[N,16384] x) => (float[N,16384] y) { y = Exp(x) }")
    assert one is not None
    assert one.graph[0].outputs[0].shape == ir.Shape([1, 16384])


def test_a_shape_that_must_not_be_is_refused_as_for_many() -> None:
    net = engine_net(REFUSED["sizes that contradict one another"])
    assert refusal(lambda: net.gradient(random(1, 6))).code == "run_failed"
    assert net.gradient(random(2, 6))["x"].shape == (2, 6)
