"""What is said of gradients that are zero or not finite, and of where that began."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.engine.tracing import Flags, flags
from support.engine import Array, engine_net

N = "(double[N,3] x) => (double[N,3] y) "
ONE = "(double[1,3] x) => (double[1,3] y) "
ROWS = np.array([[0.5, 0.0, 2.0], [0.25, 1.0, 3.0]])
FINE: dict[str, Any] = {"zero": False, "nan": False, "infinite": False}
NOTHING = {"nan": None, "infinite": None}


def _told(net: portgrad.Net, data: Any, **options: Any) -> dict[str, Any]:
    found = net.gradient(data, diagnostics=True, **options).diagnostics
    assert found is not None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return dict(found)


def _at(value: str, node: str | None = None, operator: str | None = None) -> dict[str, Any]:
    return {"value": value, "node": node, "operator": operator and f"ai.onnx.{operator}"}


def _by(zero: list[int], nan: list[int], infinite: list[int]) -> dict[str, list[int]]:
    return {"zero": zero, "nan": nan, "infinite": infinite}


def test_nothing_is_the_matter() -> None:
    told = _told(engine_net(N + "{ y = Exp(x) }"), ROWS)
    assert told["targets"] == {"x": {**FINE, "examples": _by([], [], [])}}
    assert told["forward"] == told["backward"] == NOTHING


def test_only_who_asks_is_told() -> None:
    found = engine_net(N + "{ y = Exp(x) }").gradient(ROWS)
    assert found.diagnostics is None
    assert dict(found.outputs) == {}


BEGINNINGS: list[tuple[str, str, Array, dict[str, Any], dict[str, Any]]] = [
    (
        "forward and backward",
        "{ h = Mul(x, x) k = Log(h) y = Exp(k) }",
        ROWS,
        {"infinite": _at("k", "k", "Log")},
        {"nan": _at("h", "k", "Log")},
    ),
    ("backward alone", "{ h = Sqrt(x) y = Mul(h, h) }", ROWS, {}, {"nan": _at("x", "h", "Sqrt")}),
    (
        "an infinite slope",
        "{ h = Neg(x) k = Neg(h) y = Sqrt(k) }",
        ROWS,
        {},
        {"infinite": _at("k", "y", "Sqrt")},
    ),
    ("the data", "{ y = Sin(x) }", ROWS * np.nan, {"nan": _at("x")}, {"nan": _at("x", "y", "Sin")}),
    (
        "one of two readers",
        "{ h = Neg(x) a = Neg(h) b = Sqrt(a) c = Sin(a) y = Add(b, c) }",
        ROWS,
        {},
        {"infinite": _at("a", "b", "Sqrt")},
    ),
    (
        "a sum of two readers",
        "{ h = Neg(x) a = Mul(h, big) b = Mul(h, big) y = Add(a, b) }",
        ROWS,
        {},
        {"infinite": _at("h")},
    ),
    (
        "too large backwards",
        "{ h = Mul(x, tiny) k = Mul(h, big) y = Mul(k, huge) }",
        ROWS,
        {},
        {"infinite": _at("h", "k", "Mul")},
    ),
]


@pytest.mark.parametrize(
    ("body", "data", "forward", "backward"),
    [pytest.param(*case[1:], id=case[0]) for case in BEGINNINGS],
)
def test_where_it_began(
    body: str, data: Array, forward: Mapping[str, Any], backward: Mapping[str, Any]
) -> None:
    held = {"big": np.float64(1.2e308), "huge": np.float64(1e10), "tiny": np.float64(1e-300)}
    told = _told(engine_net(N + body, held), data / 1e3 if "big" in body else data)
    assert told["forward"] == NOTHING | forward
    assert told["backward"] == NOTHING | backward


def test_zeros_are_followed_to_where_cotangents_vanish() -> None:
    net = engine_net(N + "{ h = Neg(x) k = Relu(h) a = Exp(k) y = Mul(a, w) }", {"w": np.ones(3)})
    told = _told(net, ROWS + 1, wrt=["x", "w", "h"])
    vanished = _at("h", "k", "Relu")
    by = {"examples": _by([0, 1], [], [])}
    zero = {**FINE, "zero": True, **by, "vanished": vanished}
    assert told["targets"] == {"x": zero, "h": zero, "w": FINE}
    assert told["forward"] == told["backward"] == NOTHING


def test_a_target_without_a_path_vanishes_nowhere() -> None:
    net = engine_net("(double[N,3] x, double[N,3] z) => (double[N,3] y) { y = Exp(x) }")
    told = _told(net, {"x": ROWS, "z": ROWS}, wrt="z")
    assert told["targets"]["z"]["zero"] is True
    assert told["targets"]["z"]["vanished"] == _at("z")


def test_what_is_written_out_is_one_place() -> None:
    """Of a Sigmoid, nobody's gradient depends on the exponential inside, which is infinite."""
    body = "{ h = Neg(x) e = Exp(h) d = Add(e, one) s = Reciprocal(d) y = Log(s) }"
    net = engine_net(N + body, {"one": np.float64(1)})
    told = _told(net, -1e3 * (ROWS + 1))
    assert told["forward"] == {"nan": None, "infinite": _at("y", "y", "Log")}
    assert told["backward"]["nan"] == _at("x", "s", "Sigmoid")


READINGS: list[tuple[str, Array, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (N, ROWS, {}, {"examples": _by([], [], [0])}, {}),
    (N, ROWS[0], {}, {}, {}),
    (ONE, ROWS, {}, {"examples": _by([], [], [0])}, {}),
    (ONE, ROWS[:1], {}, {"examples": _by([], [], [0])}, {}),
    (ONE, ROWS[0], {}, {}, {}),
    (N, ROWS, {"batch": "each"}, {"examples": _by([], [], [0])}, {}),
    (
        N,
        ROWS,
        {"reduction": "per_example"},
        {"examples": _by([], [], [0])},
        {"examples": _by([], [], [0])},
    ),
    (
        ONE,
        ROWS,
        {"reduction": "per_example"},
        {"examples": _by([], [], [0])},
        {"examples": _by([], [], [0])},
    ),
    (N, ROWS, {"reduction": "mean"}, {"examples": _by([], [], [0])}, {}),
    (N, ROWS, {"precision": "native"}, {"examples": _by([], [], [0])}, {}),
]


@pytest.mark.parametrize(("head", "data", "options", "own", "shared"), READINGS)
def test_every_reading(
    head: str, data: Array, options: dict[str, Any], own: dict[str, Any], shared: dict[str, Any]
) -> None:
    net = engine_net(head + "{ h = Mul(x, w) y = Sqrt(h) }", {"w": np.ones(3)})
    told = _told(net, data, wrt=["x", "w"], **options)
    assert told["targets"]["x"] == {**FINE, "infinite": True, **own}
    some = {**FINE, "nan": True, "infinite": False}
    assert {k: told["targets"]["w"][k] for k in FINE} == some
    where = {"examples": _by([], [0], [])} if shared else {}
    assert told["targets"]["w"] == {**some, **where}
    assert told["backward"]["infinite"] == _at("h", "y", "Sqrt")


def test_stacks_are_told_apart() -> None:
    net = engine_net(N + "{ h = Mul(x, w) y = Sqrt(h) }", {"w": np.ones(3)})
    seeds = np.stack([np.zeros((2, 3)), np.ones((2, 3))])
    seeds[0, 1] = 1
    told = _told(net, ROWS, wrt=["x", "w"], output_gradients={"y": seeds}, stacked=True)
    assert told["targets"]["x"] == {
        **FINE,
        "nan": True,
        "infinite": True,
        "stack": _by([], [0], [1]),
        "examples": _by([], [0], [0]),
    }
    assert told["targets"]["w"]["stack"] == _by([], [0, 1], [])


def test_examples_that_run_one_by_one() -> None:
    body = "{ r = Reshape(x, flat) h = Sqrt(r) y = CumSum(h, zero) }"
    net = engine_net(ONE + body, {"flat": np.array([1, 3]), "zero": np.int64(1)})
    told = _told(net, np.array([[1.0, 2, 3], [4, 5, 0]]))
    assert told["targets"]["x"] == {**FINE, "infinite": True, "examples": _by([], [], [1])}
    assert told["backward"]["infinite"] == _at("r", "h", "Sqrt")


def test_an_empty_batch_is_zero_and_nothing_else() -> None:
    told = _told(engine_net(N + "{ y = Exp(x) }"), ROWS[:0])
    assert told["targets"] == {"x": {**FINE, "zero": True, "examples": _by([], [], [])}}


def test_draws_are_those_of_the_call() -> None:
    held = {"ratio": np.float32(0.5), "train": np.bool_(True)}
    net = engine_net(N + "{ m, mask = Dropout(x, ratio, train) y = Sqrt(m) }", held)
    found = net.gradient(ROWS + 1, mode="train", random_seed=3, diagnostics=True, outputs=["m"])
    kept = found.outputs["m"] != 0
    assert kept.any()
    assert not kept.all()
    assert found.diagnostics is not None
    began = {"nan": _at("x", "m", "Dropout"), "infinite": _at("m", "y", "Sqrt")}
    assert found.diagnostics["backward"] == began


def test_what_is_zero_for_one_example_alone_has_not_vanished() -> None:
    none, some, ill = (flags(np.array([value])) for value in (0.0, 1.0, np.nan))
    assert none | some == some | none == Flags(zero=False, nan=False, infinite=False)
    assert none | none == none == Flags(zero=True, nan=False, infinite=False)
    assert none | ill == ill == Flags(zero=False, nan=True, infinite=False)
