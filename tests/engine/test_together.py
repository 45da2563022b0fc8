"""Calls that run as one find what each finds alone; what does not fit is left for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.engine import sessions
from portgrad.errors import InvalidRequest
from support.engine import Array, engine_net, random, refusal

# In double precision sums differ by their order alone.
CLOSE = {"rtol": 1e-12, "atol": 1e-12}
WEIGHTS = {"w": random(3, 4, seed=1), "b": random(4, seed=2)}
LAYER = "{ h = MatMul(x, w) a = Add(h, b) t = Tanh(a) y = Softmax(t) }"

NETS: dict[str, tuple[str, dict[str, Array]]] = {
    "open": (f"(float[n,3] x) => (float[n,4] y) {LAYER}", WEIGHTS),
    "fixed": (f"(float[1,3] x) => (float[1,4] y) {LAYER}", WEIGHTS),
    "other axis": (
        "(float[n,3] x) => (float[4,n] y) { h = MatMul(x, w) a = Sin(h) t = Mul(a, a) "
        "y = Transpose<perm=[1,0]>(t) }",
        {"w": WEIGHTS["w"]},
    ),
    "two ports": (
        "(float[n,3] x, float[n,4] z) => (float[n,4] y, float[n] s) { h = MatMul(x, w) "
        "a = Mul(h, z) y = Exp(a) k = Constant<value_ints=[1]>() s = ReduceSum<keepdims=0>(a, k) }",
        {"w": WEIGHTS["w"]},
    ),
    "fixed other axis": (
        "(float[1,3] x) => (float[3,1] y) { a = Exp(x) t = Sin(a) y = Transpose<perm=[1,0]>(t) }",
        {},
    ),
}


def ports(name: str, *lead: int, seed: int = 0) -> dict[str, Array]:
    """Data of a call, with its examples in front; of a single one without that axis."""
    found = {"x": random(*lead, 3, seed=seed)}
    return found | ({"z": random(*lead, 4, seed=seed + 100)} if name == "two ports" else {})


def calls(name: str, count: int = 5) -> list[dict[str, Array]]:
    """Of several examples, of one, and of one without its axis."""
    leads: list[tuple[int, ...]] = [(2,), (1,), (), (3,), ()]
    return [ports(name, *lead, seed=index) for index, lead in enumerate(leads[:count])]


def net_of(name: str) -> portgrad.Net:
    return engine_net(*NETS[name])


def same(found: Mapping[str, Array], alone: Mapping[str, Array]) -> None:
    assert list(found) == list(alone)
    for key, array in alone.items():
        assert (found[key].shape, found[key].dtype) == (array.shape, array.dtype), key
        np.testing.assert_allclose(found[key], array, **CLOSE, err_msg=key)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many runs there have been since it was asked last."""
    count = [0]
    run = sessions.Session.run

    def counting(*args: Any) -> Any:
        count[0] += 1
        return run(*args)

    monkeypatch.setattr(sessions.Session, "run", counting)

    def since() -> int:
        found, count[0] = count[0], 0
        return found

    return since


@pytest.mark.parametrize("name", NETS)
def test_evaluations(name: str, runs: Callable[[], int]) -> None:
    net = net_of(name)
    net.check_batchable()
    found = net.evaluate_together(calls(name), precision="float64")
    assert runs() == 1
    assert found is not None
    for one, data in zip(found, calls(name), strict=True):
        assert one is not None
        same(one, net.evaluate(data, precision="float64"))


def check_gradients(
    net: portgrad.Net,
    data: Sequence[Mapping[str, Array]],
    imposed: Sequence[Any] | None = None,
    **asked: Any,
) -> None:
    asked = {"precision": "float64", **asked}
    found = net.gradient_together(data, output_gradients=imposed, **asked)
    assert found is not None
    for one, sent, seeds in zip(found, data, imposed or [None] * len(data), strict=True):
        assert one is not None
        alone = net.gradient(sent, output_gradients=seeds, **asked)
        same(one, alone)
        same(one.outputs, alone.outputs)
        assert (one.targets, one.none, one.warnings) == (
            alone.targets,
            alone.none,
            alone.warnings,
        )


ASKED: dict[str, dict[str, Any]] = {
    "inputs": {},
    "with outputs": {"outputs": True},
    "of an inner value": {"of": "a"},
    "at an inner value": {"wrt": ["a", "x"], "outputs": ["a"]},
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("asked", ASKED)
def test_gradients(name: str, asked: str, runs: Callable[[], int]) -> None:
    net = net_of(name)
    found = net.gradient_together(calls(name), **ASKED[asked])
    assert runs() == 1
    assert found is not None
    assert None not in found
    check_gradients(net, calls(name), **ASKED[asked])


@pytest.mark.parametrize("name", ["open", "fixed"])
@pytest.mark.parametrize("wrt", ["parameters", "all", ["b"]])
def test_parameters_by_example(name: str, wrt: Any) -> None:
    check_gradients(net_of(name), calls(name), wrt=wrt, reduction="per_example")


@pytest.mark.parametrize("reduction", [None, "sum", "mean"])
def test_totals_over_examples_are_of_one_call(reduction: str | None) -> None:
    net = net_of("open")
    assert net.gradient_together(calls("open"), wrt="all", reduction=reduction) is None


IMPOSED: dict[str, list[Any]] = {
    "arrays": [random(2, 4), random(1, 4), random(4), random(3, 4), random(4)],
    "one number": [np.float32(index) for index in range(5)],
    "for all or for each": [random(1, 4), random(1, 4), random(4), random(3, 4), random(4)],
    "a class": [{"index": index % 4} for index in range(5)],
    "classes": [{"index": one} for one in ([0, 3], [1], 2, [1, 2, 3], 0)],
    "places": [{"at": [1]}, {"at": [[2]]}, {"at": [0]}, {"at": [[1], [2], [0]]}, {"at": [3]}],
}


@pytest.mark.parametrize("name", ["open", "fixed"])
@pytest.mark.parametrize("kind", IMPOSED)
def test_imposed_gradients(name: str, kind: str) -> None:
    imposed = [{"y": seed} for seed in IMPOSED[kind]]
    check_gradients(net_of(name), calls(name), imposed)
    check_gradients(net_of(name), calls(name), imposed, wrt="all", reduction="per_example")


def test_places_on_another_axis() -> None:
    seeds = [random(4, 2), random(4, 1), {"at": [2, 0]}, random(4, 3), random(4, 1)]
    check_gradients(net_of("other axis"), calls("other axis"), [{"y": one} for one in seeds])


BAD: dict[str, tuple[Any, Any]] = {
    "wrong shape": ({"x": random(2, 5)}, None),
    "wrong dtype": ({"x": random(1, 3).astype(np.int64)}, None),
    "no such port": ({"q": random(1, 3)}, None),
    "ragged": ({"x": [[1.0, 2.0, 3.0], [1.0]]}, None),
    "no such class": ({"x": random(1, 3)}, {"y": {"index": 7}}),
    "seed of another shape": ({"x": random(1, 3)}, {"y": random(1, 5)}),
    "no such output": ({"x": random(1, 3)}, {"q": random(1, 4)}),
    "imposed elsewhere": ({"x": random(1, 3)}, {"t": random(1, 4)}),
    "no examples": ({"x": random(0, 3)}, {"y": random(0, 4)}),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("place", [0, 1])
def test_who_does_not_fit_is_left_alone(name: str, place: int) -> None:
    """Whether it comes first or in the middle."""
    net, good = net_of("open"), [({"x": random(2, 3)}, {"y": random(2, 4)})] * 3
    data, seeds = BAD[name]
    sent = [*good[:place], (data, seeds or {"y": random(1, 4)}), *good[place:]]
    if name == "imposed elsewhere" and place == 0:
        return  # then the others are who does not fit
    found = net.gradient_together([d for d, _ in sent], output_gradients=[s for _, s in sent])
    assert found is not None
    assert [one is None for one in found] == [index == place for index in range(4)]


def test_other_sizes_behind_the_examples_do_not_fit() -> None:
    net = engine_net("(float[n,t] x) => (float[n,t] y) { y = Mul(x, x) }")
    found = net.evaluate_together([random(2, 3), random(2, 4), random(1, 3)])
    assert found is not None
    assert [one is None for one in found] == [False, True, False]


def test_what_is_imposed_in_another_form_does_not_fit() -> None:
    """A number for each example, among arrays: it broadcasts, and cannot lie beside them."""
    net, data = net_of("open"), [{"x": random(2, 3, seed=seed)} for seed in range(3)]
    seeds = [{"y": random(2, 4)}, {"y": random(2, 1)}, {"y": random(2, 4, seed=1)}]
    found = net.gradient_together(data, output_gradients=seeds)
    assert found is not None
    assert [one is None for one in found] == [False, True, False]
    same(found[2], net.gradient(data[2], output_gradients=seeds[2]))


def test_failing_together_all_are_alone() -> None:
    """An index that is out of range, which only the run tells."""
    net = engine_net("(int64[n] i) => (float[n,4] y) { y = Gather(w, i) }", {"w": WEIGHTS["w"]})
    found = net.evaluate_together([np.array([1]), np.array([9]), np.array([0, 2])])
    assert found == [None, None, None]


DRAWING = "(float[n,3] x) => (float[n,3] y) { r = RandomNormalLike(x) y = Add(x, r) }"

REFUSED: dict[str, tuple[str, str | None]] = {
    # Nets, and what stands in the way.
    "(float[n,3] x) => (float[1,3] y) { k = Constant<value_ints=[0]>() m = ReduceSum(x, k) "
    "y = Sin(m) }": ("m", "ReduceSum"),
    "(float[n,n] x) => (float[n,n] y) { y = Sin(x) }": ("x", "another axis"),
    "(float[4,3] x) => (float[4,3] y) { y = Sin(x) }": ("x", "leading axis"),
    "(float[n,3] x, float[3] z) => (float[n,3] y) { y = Add(x, z) }": ("z", "leading axis"),
    "(float[n,3] x) => (float[n,3] y, float[3] k) { y = Add(x, w) k = Exp(w) }": ("k", "output"),
    DRAWING: ("r", "draws at random"),
    "() => (float[3] y) { y = Exp(w) }": (None, "no input port"),
}


@pytest.mark.parametrize("body", REFUSED)
def test_not_batchable(body: str) -> None:
    where, words = REFUSED[body]
    net = engine_net(body, {"w": random(3)} if "w)" in body else {})
    error = refusal(net.check_batchable)
    assert isinstance(error, InvalidRequest)
    assert (error.code, error.where) == ("not_batchable", where)
    assert words in error.detail


def test_calls_that_never_go_together() -> None:
    net = engine_net(DRAWING)
    assert net.evaluate_together([random(1, 3), random(1, 3)]) is None
    net = engine_net("(float[n,3] x) => (float[3] y) { k = Constant<value_ints=[0]>() "
                     "y = ReduceSum<keepdims=0>(x, k) }")  # fmt: skip
    assert net.gradient_together([random(1, 3), random(1, 3)]) is None
    # What is asked for may come before the examples meet.
    assert net_of("open").gradient_together([random(1, 3)] * 2, mode="train") is not None
