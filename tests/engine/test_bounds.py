"""What would take too much memory or time is refused before it is computed, or fails clearly."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.engine import limits
from portgrad.engine.limits import Limits
from support.engine import Array, counted, net_bytes, refusal

N = 2 * 10**8
_TO_Y = "r = ReduceMax<keepdims = 0>(c) y = Mul(x, r)"
# The runtime computed each of these while it opened the net, and kept it.
FOLDED = {
    "ConstantOfShape": f"s = Constant<value = int64[1] {{{N}}}>() c = ConstantOfShape(s) {_TO_Y}",
    "Expand": f"s = Constant<value = int64[1] {{{N}}}>() o = Constant<value = float[1] {{1.0}}>()"
    f" c = Expand(o, s) {_TO_Y}",
    "Tile": f"s = Constant<value = int64[1] {{{N}}}>() o = Constant<value = float[1] {{1.0}}>()"
    f" c = Tile(o, s) {_TO_Y}",
    "of a computed size": f"s = Constant<value = int64[1] {{{N // 4}}}>()"
    f" t = Add(s, s) u = Add(t, t) c = ConstantOfShape(u) {_TO_Y}",
    "many": "s = Constant<value = int64[2] {4000, 1}>() t = Constant<value = int64[2] {1, 4000}>()"
    " a = ConstantOfShape(s) b = ConstantOfShape(t) c0 = Add(a, b) "
    + " ".join(f"c{i} = Add(c{i - 1}, b)" for i in range(1, 30))
    + f" c = Identity(c29) {_TO_Y}",
    "products": "s = Constant<value = int64[2] {2000, 2000}>() a = ConstantOfShape(s)"
    " b = MatMul(a, a) d = MatMul(b, a) c = MatMul(d, a) " + _TO_Y,
    "in a branch": "b = Constant<value = bool {1}>() y = If(b) <then_branch = t () => (float[n] p)"
    f" {{ s = Constant<value = int64[1] {{{N}}}>() c = ConstantOfShape(s)"
    " r = ReduceMax<keepdims = 0>(c) p = Mul(x, r) },"
    " else_branch = e () => (float[n] q) { q = Neg(x) }>",
}


@pytest.mark.parametrize("case", FOLDED)
def test_a_net_that_folds_too_much_opens_at_once(case: str) -> None:
    net = portgrad.load(net_bytes(f"(float[n] x) => (float[n] y) {{ {FOLDED[case]} }}"), threads=1)
    started = time.process_time()
    net.check()
    assert time.process_time() - started < 0.5


SMALL = Limits(answer_bytes=1000, memory_bytes=10_000)
WIDE = "(float[n] x, int64[k] s) => (float[a, b] y) "
# A call, and what its answer or a value inside would have.
TOO_LARGE: dict[str, tuple[str, dict[str, Any], str, str | None]] = {
    "an output, by its shape": (
        "(float[n] x) => (float[3, n] y)"
        " { s = Constant<value = int64[2] {3, 1}>() y = Expand(x, s) }",
        {"x": counted(100)},
        "answer_too_large",
        "1.2 kB",
    ),
    "an output whose shape the data tell": (
        WIDE + "{ y = Expand(x, s) }",
        {"x": counted(1), "s": np.array([300, 1])},
        "answer_too_large",
        "1.2 kB",
    ),
    "a value inside": (
        "(float[n] x) => (float y) { s = Constant<value = int64[2] {90, 1}>() h = Expand(x, s)"
        " y = ReduceMax<keepdims = 0>(h) }",
        {"x": counted(100)},
        "value_too_large",
        "36 kB",
    ),
    "a value inside, whatever is sent": (
        "(float x) => (float y) { s = Constant<value = int64[1] {100000000000}>()"
        " h = ConstantOfShape(s) r = ReduceMax<keepdims = 0>(h) y = Mul(x, r) }",
        {"x": np.float32(1)},
        "value_too_large",
        "400 GB",
    ),
    "examples one by one": (
        "(float[1, 3] x) => (float[1, 3, 9] y) { k = Constant<value = int64[2] {1, 3}>()"
        " z = Reshape(x, k) s = Size(z) a = Constant<value = int64[2] {3, 9}>() b = Transpose(z)"
        " w = Expand(b, a) c = Constant<value = int64[3] {1, 3, 9}>() y = Reshape(w, c) }",
        {"x": counted(20, 3)},
        "answer_too_large",
        "2.16 kB",
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", ["evaluate", "gradient"])
@pytest.mark.parametrize("case", TOO_LARGE)
def test_refused_by_its_size(case: str, call: str) -> None:
    body, data, code, size = TOO_LARGE[case]
    net = portgrad.load(net_bytes(body), threads=1, limits=SMALL)
    options = {"outputs": True} if call == "gradient" else {}
    error = refusal(lambda: getattr(net, call)(data, **options))
    assert error.code == code
    assert error.found == size or call == "gradient"


def test_what_fits_is_answered() -> None:
    net = portgrad.load(
        net_bytes("(float[n] x) => (float[n] y) { y = Sin(x) }"), threads=1, limits=SMALL
    )
    assert net.evaluate(counted(250))["y"].shape == (250,)
    assert refusal(lambda: net.evaluate(counted(251))).code == "answer_too_large"


def test_gradients_of_each_example_are_refused_before_they_are_computed() -> None:
    weights = {"w": np.ones((3, 8), np.float32)}
    net = portgrad.load(
        net_bytes("(float[n, 3] x) => (float[n, 8] y) { y = MatMul(x, w) }", weights),
        threads=1,
        limits=SMALL,
    )
    assert net.gradient(counted(10, 3), wrt="w", reduction="per_example")["w"].shape == (10, 3, 8)
    error = refusal(lambda: net.gradient(counted(11, 3), wrt="w", reduction="per_example"))
    assert (error.code, error.found) == ("answer_too_large", "1.06 kB")
    assert error.detail.startswith("The derivatives would have")  # and not: the answer


# Sizes that no memory holds, or that are none.
SIZES = {
    "Expand": ("y = Expand(x, s)", np.array([10**13, 3])),
    "Expand that overflows": ("y = Expand(x, s)", np.array([2**62, 3])),
    "Expand below nothing": ("y = Expand(x, s)", np.array([-3, 3])),
    "Tile": ("y = Tile(x, s)", np.array([2**40, 1])),
    "ConstantOfShape": ("y = ConstantOfShape(s)", np.array([2**40, 2])),
    "ConstantOfShape that overflows": ("y = ConstantOfShape(s)", np.array([2**62, 8])),
    "Pad": ("y = Pad(x, s)", np.array([0, 2**40, 0, 0])),
    "Reshape": ("y = Reshape(x, s)", np.array([2**62, 2**62])),
}


@pytest.mark.parametrize("case", SIZES)
def test_no_memory(case: str) -> None:
    node, sizes = SIZES[case]
    body = f"(float[n, m] x, int64[k] s) => (float[a, b] y) {{ {node} }}"
    net = portgrad.load(net_bytes(body), threads=1)
    error = refusal(lambda: net.evaluate({"x": counted(1, 3), "s": sizes}))
    assert (error.code, error.where) == ("out_of_memory", f"{case.split(maxsplit=1)[0]} node 'y'")
    assert error.remedy


def test_a_long_net_runs_at_once() -> None:
    """The runtime's plan of a run's memory took a second for ten thousand nodes, at each shape."""
    names = ["x", *(f"v{i}" for i in range(5000)), "y"]
    nodes = " ".join(f"{b} = Neg({a})" for a, b in itertools.pairwise(names))
    net = portgrad.load(net_bytes(f"(float[n] x) => (float[n] y) {{ {nodes} }}"), threads=1)
    x: Array = counted(3)
    np.testing.assert_array_equal(net.evaluate(x)["y"], -x)
    started = time.process_time()
    net.evaluate(counted(4))
    assert time.process_time() - started < 0.1


def test_a_hundred_loops_compile_at_once() -> None:
    """The shapes of a graph were inferred anew after each of its loops."""
    names = ["x", *(f"v{i}" for i in range(99)), "y"]
    nodes = " ".join(
        f"{b} = Loop(two, yes, {a}) <body = b{i} (int64 i{i}, bool c{i}, float[n] s{i})"
        f" => (bool d{i}, float[n] r{i}) {{ d{i} = Identity(c{i}) r{i} = Sin(s{i}) }}>"
        for i, (a, b) in enumerate(itertools.pairwise(names))
    )
    constants = "two = Constant<value = int64 {2}>() yes = Constant<value = bool {1}>()"
    text = f"(float[n] x) => (float[n] y) {{ {constants} {nodes} }}"
    net = portgrad.load(net_bytes(text), threads=1)
    started = time.process_time()
    net.check()
    assert time.process_time() - started < 0.8  # a tenth of a second, against 1.5 before


def test_a_sequence_counts_with_all_its_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "(float[n] x) => (seq(float[k]) y) { y = SplitToSequence(x) }"
    net = portgrad.load(net_bytes(body), threads=1, limits=SMALL)
    assert len(net.evaluate(counted(250))["y"]) == 250
    error = refusal(lambda: net.evaluate(counted(251)))
    assert (error.code, error.found) == ("answer_too_large", "1 kB")
    monkeypatch.setattr(limits, "MOST_ARRAYS", 200)
    assert len(net.evaluate(counted(200))["y"]) == 200
    error = refusal(lambda: net.evaluate(counted(201)))
    assert (error.code, error.found) == ("answer_too_large", "201 arrays")
