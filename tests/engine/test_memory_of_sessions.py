"""What keeps the memory of sessions and runs small, and that numbers are right all the same."""

from __future__ import annotations

import gc
import mmap
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.engine import arena, packing_memory
from portgrad.engine.alive import Alive
from portgrad.engine.rewrites.ordering import results_early
from portgrad.engine.serialising import as_bytes
from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import engine_net, random

TURNED = "a = Transpose<perm = [1, 0]>(x) b = Add(a, w) c = Transpose<perm = [1, 0]>(b)"


def _model(text: str, **weights: np.ndarray) -> ir.Model:
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(w, n) for n, w in weights.items())
    return load(NetFiles(proto.SerializeToString()))


def test_a_weight_that_the_runtime_turns_is_turned_in_its_own_copy() -> None:
    x, w = random(24, 24), random(24, 24, seed=1)
    model = _model(f"(float[24,24] x) => (float[24,24] y) {{ {TURNED} y = MatMul(c, w) }}", w=w)
    weights = Weights(model)
    for _ in range(2):
        found = Session(model.clone(), weights, 1).run({"x": x})[0]
        np.testing.assert_allclose(found, (x.T + w).T @ w, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(weights.values(["w"])[0].numpy(), w)


def test_weights_live_as_long_as_a_session() -> None:
    x, w = random(3, 64), random(64, 64, seed=1)
    model = _model("(float[N,64] x) => (float[N,64] y) { y = MatMul(x, w) }", w=w)
    session = Session(model.clone(), Weights(model), 1)
    del model
    gc.collect()
    others = [random(64, 64, seed=seed) for seed in range(50)]  # would take the place of the weight
    np.testing.assert_allclose(session.run({"x": x})[0], x @ w, rtol=1e-4, atol=1e-4)
    assert len(others) == 50


def test_a_parameter_that_is_given_out_is_the_callers() -> None:
    x, w = random(2, 20), random(20, 20, seed=1)
    net = engine_net(
        "(float[N,20] x) => (float[N,20] y) { z = Identity(w) y = MatMul(x, w) }", {"w": w}
    )
    net.evaluate(x, outputs=["z"])["z"][:] = 0
    np.testing.assert_allclose(net.evaluate(x)["y"], x @ w, rtol=1e-4, atol=1e-5)


def test_results_come_as_soon_as_what_they_read() -> None:
    text = """(float[N] x) => (float[N] p, float[N] q, float[N] r) {
        a = Exp(x) p1 = Neg(a) b = Exp(a) q1 = Neg(b) c = Exp(b) r1 = Neg(c)
        p = Identity(p1) q = Identity(q1) r = Identity(r1)
    }"""
    model = _model(text)
    results_early(model.graph)
    names = [str(node.outputs[0].name) for node in model.graph]
    assert names == ["a", "b", "c", "r", "q", "p"]  # the runtime goes from the last one back
    assert [value.name for value in model.graph.outputs] == ["p", "q", "r"]
    _, q, _ = Session(model, Weights(model), 1).run({"x": np.zeros(2, np.float32)})
    np.testing.assert_allclose(q, -np.exp(np.ones(2)), rtol=1e-6)


def test_what_layers_add_to_one_gradient_is_added_layer_by_layer() -> None:
    text = """(float[N] x, float[N] w) => (float[N] p, float[N] q, float[1] g) {
        a = Exp(x) b = Sin(a) c = Sin(b) d = Sin(c)
        ga = ReduceSum(d) p = Neg(c) gb = ReduceSum(c) q = Neg(b) gc = ReduceSum(b)
        g1 = Add(ga, gb) g = Add(g1, gc)
    }"""
    model = _model(text)
    results_early(model.graph)
    order = [str(node.outputs[0].name) for node in model.graph]
    ends = ["g", "q", "g1/by-its-turn", "p", "ga/by-its-turn"]  # the last is done first
    assert order[-5:] == ends
    x = np.linspace(0, 1, 3, dtype=np.float32)
    b = np.sin(np.exp(x))
    *_, g = Session(model, Weights(model), 1).run({"x": x, "w": x})
    c = np.sin(b)
    np.testing.assert_allclose(g, [np.sum(b + c + np.sin(c))], rtol=1e-6)


def test_a_bias_stays_beside_its_product() -> None:
    text = "(float[N,4] x) => (float[N,4] y) { m = MatMul(x, w) b = Add(m, v) y = Add(b, x) }"
    model = _model(text, w=random(4, 4), v=random(4))
    results_early(model.graph)
    assert [node.op_type for node in model.graph] == ["MatMul", "Add", "Add"]


@pytest.mark.parametrize(("size", "wrt", "some"), [(3000, "w", 36), (3000, "x", 0), (30, "w", 0)])
def test_gradients_of_large_weights_have_room_made(size: int, wrt: str, some: int) -> None:
    w = np.zeros((size, size), np.float32)
    model = _model(f"(float[N,{size}] x) => (float[N,{size}] y) {{ y = MatMul(x, w) }}", w=w)
    made = gradient_graph(model, wrt=[wrt], of=["y"]).model
    assert _room(made, N=2, size=size) // 10**6 == some


# What a run takes at once, in times of its operand x of 80 MB; what is small is 0.
AT_ONCE = {
    "a = Softmax(x) z = Softmax(a)": 2,
    "a = Softmax(x) b = Softmax(a) c = Softmax(b) z = Softmax(c)": 2,
    "a = Softmax(x) b = Softmax(a) c = Softmax(b) d = Add(c, a) z = Softmax(d)": 3,
    "a = Softmax(x) z = Neg(a)": 1,  # in the place of a
    "z = Neg(x)": 1,  # not in that of what is fed
    "s = Constant<value_ints = [0]>() a = Softmax(x) b = Unsqueeze(a, s) z = Softmax(b)": 2,
    "a = Softmax(x) b = Transpose<perm = [1, 0]>(a) z = MatMul(b, a)": 1.05,  # turned as it is read
    "a = Softmax(x) b = Transpose<perm = [1, 0]>(a) z = Neg(b)": 2,
    "a = Softmax(w) z = Add(x, a)": 1,  # a is constant
    "z = ReduceSum(x)": 0,
}


@pytest.mark.parametrize("nodes", AT_ONCE)
def test_room_is_what_lives_at_once(nodes: str) -> None:
    text = f"(float[N,1000] x) => (float y) {{ {nodes} y = ReduceSum<keepdims = 0>(z) }}"
    model = _model(text, w=random(1000))
    assert _room(model, N=20_000, size=1000) / 80e6 == pytest.approx(AT_ONCE[nodes], abs=0.01)


def test_what_a_port_declares_makes_no_room() -> None:
    text = "(float[N] x) => (float[100000000] y) { y = Mul(x, w) }"
    assert _room(_model(text, w=random(1)), N=1, size=3) == 0


def test_what_is_free_of_the_heap_goes_back() -> None:
    arena.give_back()
    blocks = [bytearray(100_000) for _ in range(1000)]
    last = blocks.pop()
    before = _resident()
    blocks.clear()
    arena.make_room(2**27, 1)
    arena.give_back()
    assert _resident() < before - 80 * 10**6
    assert len(last) == 100_000


def _room(model: ir.Model, **sizes: int) -> int:
    """The room for a run with an operand x of shape (N, size), none of which is in memory."""
    x = np.broadcast_to(np.float32(0), (sizes["N"], sizes["size"]))
    return Alive(model.graph, as_bytes(model)).room({"x": x}, sizes)


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_room_is_made_once_and_given_back(threads: int) -> None:
    arena.give_back()
    before = _resident()
    for _ in range(2):
        arena.make_room(2**27, threads)
        assert 2**26 < _resident() - before < 2**27 + 2**26
    arena.give_back()
    assert _resident() - before < 2**26


@pytest.mark.parametrize("threads", [1, 2])
def test_a_larger_room_takes_the_place_of_a_smaller_one(threads: int) -> None:
    arena.give_back()
    before = _resident()
    for size in (2**26, 2**27):
        arena.make_room(size, threads)
    assert _resident() - before < 2**27 + 2**25
    arena.give_back()


def test_what_is_done_with_is_not_kept_for_its_like() -> None:
    text = """(float[8000000] x, float[6000000] y) => (float[1] r) {
        a = Exp(x) s = ReduceSum(a) b = Mul(y, s) t = ReduceSum(b) c = Mul(x, t) r = ReduceSum(c)
    }"""
    model = _model(text)
    session = Session(model.clone(), Weights(model), 1)
    feeds = {"x": np.zeros(8_000_000, np.float32), "y": np.ones(6_000_000, np.float32)}
    arena.give_back()
    before = _resident()
    session.run(feeds)
    assert 30 * 10**6 < _resident() - before < 40 * 10**6  # b is where a was, and so is c
    arena.give_back()


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * mmap.PAGESIZE


@pytest.mark.parametrize(
    ("rows", "wrt", "pays"),
    [("N", "w", True), ("N,64", "w", True), ("N,128", "w", False), ("N,128", "x", True)],
)
def test_large_weights_are_packed_for_few_rows(rows: str, wrt: str, pays: bool) -> None:
    for size, packed in ((3000, pays), (30, True)):  # 36 MB, and next to nothing
        text = f"(float[{rows},{size}] x) => (float[{rows},{size}] y) {{ y = MatMul(x, w) }}"
        model = _model(text, w=np.zeros((size, size), np.float32))
        graph = gradient_graph(model, wrt=[wrt], of=["y"], outputs=["y"]).model.graph
        assert packing_memory.pays(graph, list(graph)) == packed
