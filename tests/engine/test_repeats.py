"""Calls like one before find what they would find the first time, or are refused as then."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.engine.cache import Cache, Memo
from portgrad.engine.limits import Limits
from portgrad.engine.stopping import Stop
from portgrad.errors import DeadlineExceeded, LimitExceeded
from support.engine import Array, counted, engine_net, net_bytes, random, refusal

NET = """(float[N,3] x, float[N,3] u) => (float[N,2] y, float[N,2] z) {
    a = Tanh(x) b = Mul(a, u) c = MatMul(b, w) y = Exp(c) z = Relu(c) }"""
WEIGHTS = {"w": random(3, 2, seed=5)}


def data(rows: int = 4) -> dict[str, Array]:
    return {"x": random(rows, 3), "u": random(rows, 3, seed=1)}


def fresh(**options: Any) -> portgrad.Net:
    return portgrad.load(net_bytes(NET, WEIGHTS), threads=1, **options)


ASKED: list[dict[str, Any]] = [
    {},
    {"wrt": "all"},
    {"wrt": "all", "outputs": True},
    {"wrt": ["x", "w"], "of": ["z"]},
    {"wrt": ("w",), "of": "y", "outputs": ["c"]},
    {"reduction": "mean", "wrt": "all"},
    {"reduction": "sum", "wrt": "all"},
    {"reduction": "per_example", "wrt": "all"},
    {"precision": "float64", "wrt": "all"},
    {"parameters": {"w": WEIGHTS["w"] * 2}},
    {"parameters": {}, "output_gradients": {}},
    {"output_gradients": {"y": random(4, 2, seed=9)}},
    {"output_gradients": {"z": random(4, 2, seed=8), "y": random(4, 2, seed=9)}},
    {"output_gradients": {"y": random(4, 2, seed=9)}, "of": ["y", "z"], "outputs": ["z"]},
    {"output_gradients": {"y": random(2, seed=9)}},
    {"output_gradients": {"y": np.float32(2)}},
    {"output_gradients": {"y": [[1.0, 2.0]]}},
    {"output_gradients": {"y": {"index": 1}}},
    {"output_gradients": {"z": random(5, 4, 2, seed=9)}, "stacked": True},
    {"diagnostics": True},
    {"batch": "as_is"},
]


def _alike(one: Any, other: Any) -> None:
    assert (one.targets, one.none, one.warnings) == (other.targets, other.none, other.warnings)
    assert one.diagnostics == other.diagnostics
    assert one.timings.keys() == other.timings.keys()
    for mine, theirs in ((one, other), (one.outputs, other.outputs)):
        assert list(mine) == list(theirs)
        for name in mine:
            assert mine[name].dtype == theirs[name].dtype
            np.testing.assert_array_equal(mine[name], theirs[name])


def test_again_is_as_the_first_time() -> None:
    net = fresh()
    for _ in range(3):
        for rows in (4, 1, 4):
            for asked in ASKED:
                if rows == 4 or "output_gradients" not in asked:
                    _alike(net.gradient(data(rows), **asked), fresh().gradient(data(rows), **asked))


MISFITS: dict[str, Callable[[portgrad.Net], Any]] = {
    "double": lambda net: net.gradient({**data(), "u": np.zeros((4, 3))}),
    "rank": lambda net: net.gradient({**data(), "u": random(3, 4, 3)}),
    "rows": lambda net: net.gradient({**data(), "u": random(5, 3)}),
    "columns": lambda net: net.gradient({"x": random(4, 2), "u": random(4, 2)}),
    "missing": lambda net: net.gradient({"x": random(4, 3)}),
    "unknown": lambda net: net.gradient({**data(), "v": random(4, 3)}),
    "other": lambda net: net.gradient({"x": random(4, 3), "v": random(4, 3)}),
    "bare": lambda net: net.gradient(random(4, 3)),
    "ragged": lambda net: net.gradient({**data(), "u": [[1.0], [1.0, 2.0]]}),
    "none": lambda net: net.gradient({**data(), "u": None}),
    "true": lambda net: net.gradient(data(), wrt=True),
    "one": lambda net: net.gradient(data(), outputs=1),
    "zero": lambda net: net.gradient(data(), outputs=0),
    "path": lambda net: net.gradient(data(), wrt=[["x", "w"]]),
    "word": lambda net: net.gradient(data(), reduction="median"),
    "batch": lambda net: net.gradient(data(), batch=["as_is"]),
    "mode": lambda net: net.gradient(data(), mode="dream"),
    "seed": lambda net: net.gradient(data(), output_gradients={"y": random(3, 2)}),
    "tall": lambda net: net.gradient(data(), output_gradients={"y": random(1, 4, 2)}),
    "wide": lambda net: net.gradient(data(), output_gradients={"y": np.ones((4, 2))}),
    "stranger": lambda net: net.gradient(data(), output_gradients={"x": random(4, 3)}),
    "outside": lambda net: net.gradient(data(), of="z", output_gradients={"y": random(4, 2)}),
    "rank of seed": lambda net: net.gradient(
        data(), output_gradients={"z": random(4, 2)}, stacked=True
    ),
    "seeds": lambda net: net.gradient(data(), output_gradients=random(4, 2)),
    "parameter": lambda net: net.gradient(data(), parameters=[]),
    "evaluated": lambda net: net.evaluate({**data(), "u": random(5, 3)}),
    "imposed": lambda net: net.jvp(data(), tangents={"x": random(5, 3)}),
}


@pytest.fixture(scope="module")
def used() -> portgrad.Net:
    net = fresh()
    for asked in ASKED * 2:
        net.gradient(data(), **asked)
        net.evaluate(data())
        net.jvp(data(), tangents={"x": random(4, 3)})
    return net


@pytest.mark.parametrize("misfit", MISFITS)
def test_what_does_not_fit_is_refused_as_the_first_time(used: portgrad.Net, misfit: str) -> None:
    mine, first = (refusal(lambda net=net: MISFITS[misfit](net)) for net in (used, fresh()))
    assert vars(mine) == vars(first)


@pytest.mark.parametrize(
    "changed",
    [
        lambda x: x.astype(">f4"),
        np.asfortranarray,
        lambda x: x[::-1][::-1],
        lambda x: x.tolist(),
        lambda x: x.view(np.matrix),
        lambda x: np.frombuffer(b"?" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape),
    ],
)
def test_arrays_that_lie_otherwise_are_read_right(used: portgrad.Net, changed: Any) -> None:
    given = {name: changed(array) for name, array in data().items()}
    _alike(used.gradient(given), fresh().gradient(data()))


def test_shapes_that_data_decide_are_looked_at_each_time() -> None:
    text = """(float[N] x) => (float[K] y) {
        p = Cast<to = 9>(x) a = Compress<axis = 0>(x, p) y = Exp(a) }"""
    net = portgrad.load(net_bytes(text), threads=1, limits=Limits(answer_bytes=4 * (8 + 4)))
    x = counted(8)
    for ones in (4, 2, 4, 3):
        given = np.where(np.arange(8) < ones, x, 0)
        found = net.gradient({"x": given}, outputs=True)
        np.testing.assert_allclose(found.outputs["y"], np.exp(given[:ones]), rtol=1e-6)
        np.testing.assert_allclose(found["x"], np.where(given > 0, np.exp(given), 0), rtol=1e-6)
    with pytest.raises(LimitExceeded):
        net.gradient({"x": x}, outputs=True)


def test_a_seed_of_another_shape_than_data_decide_is_refused_as_the_first_time() -> None:
    text = """(float[N] x) => (float[K] y) {
        p = Cast<to = 9>(x) a = Compress<axis = 0>(x, p) y = Exp(a) }"""

    def asked(net: portgrad.Net, ones: int) -> Any:
        x = np.where(np.arange(8) < ones, counted(8), 0)
        return net.gradient({"x": x}, output_gradients={"y": counted(4)})

    used, first = engine_net(text), engine_net(text)
    for _ in range(3):
        found = asked(used, 4)["x"]
        np.testing.assert_allclose(found[:4], counted(4) * np.exp(counted(4)), rtol=1e-6)
        mine = refusal(lambda: asked(used, 3))
        assert vars(mine) == vars(refusal(lambda: asked(first, 3)))


def test_a_gradient_that_comes_out_in_another_shape_is_refused_each_time() -> None:
    net = fresh()
    for _ in range(2):
        net.gradient(data())
    sessions = net._variants._sessions
    [key] = [key for key in sessions._entries if "session" in key]
    session = sessions.get(key, list).session
    run = session._run
    session._run = lambda *given: [found[:1] for found in run(*given)]
    for _ in range(2):
        assert refusal(lambda: net.gradient(data())).code == "wrong_gradient_shape"


def test_what_is_drawn_is_drawn_anew() -> None:
    net = engine_net("(float[N] x) => (float[N] y) { r = RandomNormalLike(x) y = Mul(x, r) }")
    x = counted(6)
    drawn = [net.gradient({"x": x}) for _ in range(4)]
    assert len({found["x"].tobytes() for found in drawn}) == 4
    again = net.gradient({"x": x}, random_seed=drawn[0].random_seed)
    np.testing.assert_array_equal(again["x"], drawn[0]["x"])


def _itself(made: Any) -> Any:
    return made


def test_what_is_kept_is_let_go_with_the_session() -> None:
    sessions: Cache[tuple[Any, ...], Any] = Cache(8)
    net = fresh(sessions=sessions)
    want = net.gradient(data(), wrt="all")
    hits = sessions.hits
    net.gradient(data(), wrt="all")
    assert sessions.hits == hits + 1
    compiled = weakref.ref(
        sessions.peek(next(key for key in sessions._entries if "session" in key), _itself)
    )
    sessions.drop(lambda _: True)
    gc.collect()
    assert compiled() is None
    misses = sessions.misses
    _alike(net.gradient(data(), wrt="all"), want)
    assert sessions.misses == misses + 1


def test_an_answer_is_its_caller_s() -> None:
    net = engine_net("(float[N] x, int64[N] i) => (float[N] y) { f = Cast<to=1>(i) y = Mul(x, f) }")
    given = {"x": counted(2), "i": np.arange(2)}
    for _ in range(3):
        found = net.gradient(given)
        assert list(found.none) == ["i"]
        found.none.clear()  # type: ignore[attr-defined]
        found.gradients.clear()  # type: ignore[attr-defined]


def test_a_stopped_call_does_not_run_again() -> None:
    net = fresh()
    net.gradient(data())
    stop = Stop()
    with stop.running():
        net.gradient(data())
        assert stop.stage == "run"
        stop.now()
        with pytest.raises(DeadlineExceeded):
            net.gradient(data())


def test_little_is_kept() -> None:
    net = fresh()
    view = net._variants.plain
    for count in range(1, 40):
        net.gradient(data(count), wrt=["x"] * count)
    assert len(view.asked) == len(view.repeats) == 16
    sessions = net._variants._sessions
    compiled = [sessions.peek(key, _itself) for key in list(sessions._entries) if "session" in key]
    assert [(one.one, len(one.as_is)) for one in compiled] == [(True, 1), (False, 16)]
    net.gradient(data(1), wrt=["x"] * 40_000)
    net.gradient(data(1), wrt=["x"] * 40_000)
    kept = (*view.asked._entries, *view.repeats._entries)
    assert all(len(str(key)) < 2**16 for key in kept)


def test_the_oldest_goes_first() -> None:
    memo: Memo[str, int] = Memo(2)
    for index, name in enumerate("abc"):
        memo.keep(name, index)
    assert (memo.get("a"), memo.get("b"), memo.get("c"), len(memo)) == (None, 1, 2, 2)
