"""Gradients held against differences at the user's data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.engine.gradcheck import Report
from portgrad.samples import chain
from support.engine import Array, engine_net, random, refusal
from support.wrong_rules import make_wrong

X = "(double[N,3] x) => (double[N,3] y) "
ROW = np.array([[0.5, -1.5, 2.0], [-0.25, 1.0, 3.0]])
ZEROS = np.zeros((2, 3))
HALF, TWO = np.float64(0.5), np.float64(2)


def _verdicts(net: portgrad.Net, data: Any, **options: Any) -> dict[str, str]:
    report = net.gradcheck(data, **options)
    return {name: checked.verdict for name, checked in report.targets.items()}


POINTS: list[tuple[str, str, Mapping[str, Any], Array, str, bool]] = [
    ("smooth", "{ h = Sin(x) y = Exp(h) }", {}, ROW, "ok", True),
    ("corners elsewhere", "{ y = Relu(x) }", {}, ROW, "ok", True),
    ("no effect", "{ h = Mul(x, z) y = Floor(h) }", {"z": np.float64(0)}, ROW, "ok", True),
    ("steps elsewhere", "{ y = Floor(x) }", {}, ROW + 0.1, "ok", True),
    ("relu at 0", "{ y = Relu(x) }", {}, ZEROS, "kink", True),
    ("abs at 0", "{ h = Abs(x) y = Sin(h) }", {}, ZEROS, "kink", True),
    ("a tie", "{ h = Mul(x, t) k = Mul(x, x) y = Max(h, k) }", {"t": TWO}, ZEROS + 2, "kink", True),
    ("floor at 0", "{ y = Floor(x) }", {}, ZEROS, "jump", False),
    ("sign at 0", "{ y = Sign(x) }", {}, ZEROS, "jump", False),
    (
        "a threshold",
        "{ c = Greater(x, h) k = Mul(x, x) y = Where(c, k, x) }",
        {"h": HALF},
        ZEROS + 0.5,
        "jump",
        False,
    ),
    (
        "a threshold over whole numbers",
        "{ i = Cast<to = 7>(x) f = Cast<to = 11>(i) y = Mul(f, x) }",
        {},
        ZEROS + 1,
        "jump",
        False,
    ),
    ("the edge of a domain", "{ y = Sqrt(x) }", {}, ZEROS, "non_finite", False),
    ("beyond it", "{ h = Neg(x) y = Log(h) }", {}, ZEROS + 1, "non_finite", False),
    ("no number at all", "{ y = Sin(x) }", {}, ZEROS + np.nan, "non_finite", False),
    ("too large", "{ h = Mul(x, x) y = Exp(h) }", {}, ZEROS + 1e3, "non_finite", False),
]


@pytest.mark.parametrize(
    ("body", "held", "data", "verdict", "ok"),
    [pytest.param(*point[1:], id=point[0]) for point in POINTS],
)
def test_points_are_told_apart(
    body: str, held: Mapping[str, Array], data: Array, verdict: str, ok: bool
) -> None:
    report = engine_net(X + body, held).gradcheck(data)
    assert report.targets["x"].verdict == verdict
    assert report.ok is ok
    assert report.precision == "float64"


PLACES: list[tuple[str, str, Array, str, str, str]] = [
    ("kink", "{ h = Sin(x) k = Relu(h) y = Exp(k) }", ZEROS, "kink", "k", "ai.onnx.Relu"),
    ("jump", "{ h = Sin(x) k = Floor(h) y = Add(k, h) }", ZEROS, "jump", "k", "ai.onnx.Floor"),
    (
        "a jump by a truth",
        "{ h = Sin(x) c = Greater(h, x) y = Where(c, h, x) }",
        ZEROS,
        "ok",
        "",
        "",
    ),
    (
        "a jump by a whole number",
        "{ h = Add(x, x) i = Cast <to = 7> (h) f = Cast <to = 11> (i) y = Mul(f, x) }",
        ZEROS + 1,
        "jump",
        "i",
        "ai.onnx.Cast",
    ),
    ("beside", "{ h = Sin(x) y = Pow(h, e) }", ZEROS, "non_finite", "y", "ai.onnx.Pow"),
    ("forward", "{ h = Neg(x) k = Log(h) y = Exp(k) }", ROW, "non_finite", "k", "ai.onnx.Log"),
    ("the data", "{ y = Sin(x) }", ROW * np.nan, "non_finite", "x", ""),
    (
        "backward alone",
        "{ h = Mul(x, x) k = Sqrt(h) y = Mul(k, k) }",
        ZEROS,
        "non_finite",
        "k",
        "ai.onnx.Sqrt",
    ),
]


@pytest.mark.parametrize(
    ("body", "data", "verdict", "value", "operator"),
    [pytest.param(*place[1:], id=place[0]) for place in PLACES],
)
def test_the_place_is_told(body: str, data: Array, verdict: str, value: str, operator: str) -> None:
    found = engine_net(X + body, {"e": np.float64(1.5)}).gradcheck(data).targets["x"]
    assert found.verdict == verdict
    place = found.place
    assert (place.value if place else "") == value
    assert ((place and place.operator) or "") == operator


CHAIN = "{ h = Sin(x) a = Tanh(h) b = Tanh(a) y = Exp(b) }"
NORM = """{ h = Tanh(x) m = ReduceMean <keepdims = 1> (h, axes) d = Sub(h, m) q = Mul(d, d)
    v = ReduceMean <keepdims = 1> (q, axes) e = Add(v, eps) r = Sqrt(e) z = Div(d, r)
    y = Sin(z) }"""
NORM_HELD = {"axes": np.array([1]), "eps": np.float64(1e-5)}
LOOP = """{ n = Constant <value_int = 3> () c = Constant <value = bool {1}> ()
    s, all = Loop(n, c, x) <body = b (int64 i, bool on, double[N,3] v) =>
        (bool on2, double[N,3] v2, double[N,3] o) {
        on2 = Identity(on) v2 = Tanh(v) o = Sin(v) }> y = Exp(s) }"""
BRANCH = """{ one = Constant <value = double {1}> () t = ReduceSum <keepdims = 0> (x)
    c = Less(t, one) k = Sin(x)
    y = If (c) <then_branch = a () => (double[N,3] p) { p = Tanh(k) },
                else_branch = b () => (double[N,3] q) { q = Exp(k) }> }"""


@dataclass(frozen=True)
class Case:
    """A net, an operator whose rule is wrong, and the value that is to be named."""

    op_type: str
    body: str
    value: str
    operator: str | None = None
    held: Mapping[str, Array] = field(default_factory=dict)
    data: Array = field(default_factory=lambda: ROW)
    factor: float = 1.5

    def report(self) -> Report:
        """The gradient of the net held against differences."""
        return engine_net(X + self.body, self.held).gradcheck(self.data)


WRONG = {
    "the first of two": Case("Tanh", CHAIN, "a"),
    "one in ten thousand": Case("Exp", CHAIN, "y", factor=1.0001),
    "an operator of other rules": Case(
        "Mul", "{ h = Sigmoid(x) g = Sin(h) a = Mul(h, g) b = Softmax(a) y = Exp(b) }", "a"
    ),
    "behind a kink": Case("Tanh", "{ h = Relu(x) a = Sin(h) y = Tanh(a) }", "y", data=ZEROS),
    "beside a jump": Case(
        "Sin", "{ h = Floor(x) g = Neg(x) a = Sin(g) y = Add(a, h) }", "a", data=ZEROS
    ),
    "written out": Case("LayerNormalization", NORM, "z", held=NORM_HELD),
    "among ties": Case(
        "Max",
        "{ r = Relu(x) z = Mul(x, zero) n = Relu(z) y = Max(r, n) }",
        "y",
        held={"zero": np.float64(0)},
    ),
    "in a loop": Case("Tanh", LOOP, "s", "Loop", data=ROW / 4),
    "in a branch": Case("Tanh", BRANCH, "y", "If", data=ROW / 10),
}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in WRONG.items()])
def test_a_wrong_rule_is_named(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert case.report().disagreement is None
    make_wrong(monkeypatch, case.op_type, factor=case.factor)
    report = case.report()
    wrong = report.disagreement
    assert not report.ok
    assert report.targets["x"].verdict == "disagrees"
    assert wrong is not None
    assert (wrong.value, wrong.operator) == (case.value, f"ai.onnx.{case.operator or case.op_type}")
    if case.operator is None:  # and no operator that holds several
        assert wrong.found == pytest.approx(wrong.expected * case.factor, rel=1e-6)


def test_a_wrong_operand_is_the_fault_of_its_target_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    make_wrong(monkeypatch, "MatMul", operand=1)
    weights = random(3, 3).astype(np.float64)
    net = engine_net(X + "{ h = MatMul(x, w) y = Tanh(h) }", {"w": weights})
    assert _verdicts(net, ROW, wrt="all") == {"x": "ok", "w": "disagrees"}
    assert _verdicts(net, ROW, wrt=["h"]) == {"h": "ok"}


@pytest.mark.parametrize("head", ["(double[1,3] x) => (double[1,3] y) ", X])
@pytest.mark.parametrize("data", [ROW, ROW[0], ROW[:1]])
def test_every_reading_of_the_shapes(
    head: str, data: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"w": random(3, 3).astype(np.float64)}
    body = "{ h = MatMul(x, w) a = Sin(h) y = Softmax(a) }"
    imposed = {"y": random(*data.shape).astype(np.float64)}
    options = {"wrt": ["x", "w", "h"], "output_gradients": imposed}
    net = engine_net(head + body, held)
    assert set(_verdicts(net, data, **options).values()) == {"ok"}
    assert set(
        _verdicts(net, data, batch="each" if data.ndim > 1 else None, **options).values()
    ) == {"ok"}
    make_wrong(monkeypatch, "Sin")
    report = engine_net(head + body, held).gradcheck(data, **options)
    assert {checked.verdict for checked in report.targets.values()} == {"disagrees"}
    assert report.disagreement is not None
    assert report.disagreement.value == "a"


def test_examples_that_must_run_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        "(double[1,3] x) => (double[1,3] y) { r = Reshape(x, flat) a = Sin(r) y = CumSum(a, zero) }"
    )
    held = {"flat": np.array([1, 3]), "zero": np.int64(1)}
    assert _verdicts(engine_net(body, held), ROW) == {"x": "ok"}
    make_wrong(monkeypatch, "Sin")
    report = engine_net(body, held).gradcheck(ROW)
    assert report.disagreement is not None
    assert report.disagreement.value == "a"


def test_a_net_that_draws_sees_the_same_draws() -> None:
    held = {"ratio": np.float32(0.5), "train": np.bool_(True)}
    net = engine_net(X + "{ m, mask = Dropout(x, ratio, train) y = Exp(m) }", held)
    report = net.gradcheck(ROW, mode="train")
    assert report.targets["x"].verdict == "ok"
    other = net.gradcheck(ROW, mode="train", random_seed=7)
    assert other.ok
    assert report.plain() == net.gradcheck(ROW, mode="train", random_seed=0).plain()
    assert report.targets["x"].lines != other.targets["x"].lines


def test_the_sum_that_is_imposed_is_what_is_held_against_differences() -> None:
    net = engine_net(
        "(double[N,3] x) => (double[N,3] y, double[N] s) "
        "{ y = Exp(x) s = ReduceMax <keepdims = 0> (y, a) }",
        {"a": np.array([1])},
    )
    report = net.gradcheck(ROW, output_gradients={"y": {"index": 1}}, directions=1)
    [line] = report.targets["x"].lines
    assert line.verdict == "ok"
    assert line.found != net.gradcheck(ROW, of="y", directions=1).targets["x"].lines[0].found
    tie = net.gradcheck(ZEROS, of="s").targets["x"]
    assert (tie.verdict, tie.place and tie.place.value) == ("kink", "s")


def test_parameters_of_a_call_count() -> None:
    net = engine_net(X + "{ y = Mul(x, w) }", {"w": np.ones(3)})
    [line] = net.gradcheck(ROW, parameters={"w": np.zeros(3)}, directions=1).targets["x"].lines
    assert (line.found, line.expected, line.verdict) == (0, 0, "ok")
    assert _verdicts(net, ROW, wrt="w", parameters={"w": np.full(3, 2.0)}) == {"w": "ok"}


def test_scalars_are_targets_too() -> None:
    net = engine_net(X + "{ h = Mul(x, w) y = Sin(h) }", {"w": np.float64(2)})
    assert _verdicts(net, ROW, wrt="all") == {"x": "ok", "w": "ok"}


CORNERS: dict[str, tuple[str, list[float], str]] = {
    "of several curvatures": ("Selu(x)", [0], "kink"),
    "beyond what the steps can tell": ("HardSigmoid(x)", [-2.5, 2.5], "kink"),
    "none, as both slopes are 1": ("Celu(x)", [0, 10], "ok"),
    "none, as all slopes vanish": ("ReduceProd(x)", [0, 0, 0, 0, 1], "ok"),
}


@pytest.mark.parametrize(("node", "at", "verdict"), CORNERS.values(), ids=CORNERS)
def test_corners_in_double(node: str, at: list[float], verdict: str) -> None:
    net = engine_net("(float[N] x) => (float[M] y) { y = " + node + " }")
    report = net.gradcheck(np.array(at, np.float32))
    assert (report.precision, report.targets["x"].verdict) == ("float64", verdict)


def test_a_size_that_jumps() -> None:
    net = engine_net(
        "(double[N] x) => (double[M] y) { c = Greater(x, h) y = Compress(x, c) }", {"h": HALF}
    )
    found = net.gradcheck(np.array([0.2, 0.5, 0.7])).targets["x"]
    assert (found.verdict, found.place and found.place.value) == ("jump", "c")
    assert _verdicts(net, np.array([0.2, 0.6, 0.7])) == {"x": "ok"}


def test_the_gradient_in_the_net_s_own_precision_is_compared() -> None:
    net = engine_net("(float[N] x) => (float[N] y) { y = Tanh(x) }")
    at = np.array([0.5, 2.0], np.float32)
    rounding = net.gradcheck(at).targets["x"].rounding
    assert rounding is not None
    assert 0 < rounding < 1e-6
    assert net.gradcheck(at, precision="float64").targets["x"].rounding is None
    assert net.gradcheck(at, precision="native").targets["x"].rounding is None
    assert engine_net(X + "{ y = Tanh(x) }").gradcheck(ROW).targets["x"].rounding is None


def test_what_only_double_can_say_is_no_gradient() -> None:
    """The gradient that callers get is not finite, though that in double is right."""
    net = engine_net("(float[N] x) => (float[N] y) { h = Mul(x, x) k = Exp(h) y = Log(k) }")
    found = net.gradcheck(np.array([10.0], np.float32)).targets["x"]
    assert found.lines[0].verdict == "ok"
    assert (found.verdict, found.rounding) == ("non_finite", np.inf)
    assert (found.place and found.place.value) == "k"


def test_what_rounding_swallows_is_no_fault_of_a_rule() -> None:
    """Each entry is masked: the sums are the mask, whatever the scores."""
    held = {"lowest": np.float32(np.finfo(np.float32).min)}
    net = engine_net(
        "(float[N,3] x) => (float[N] y) "
        "{ m = Add(x, lowest) s = Softmax(m) v = Mul(s, x) y = ReduceSum <keepdims = 0> (v, a) }",
        {**held, "a": np.array([1])},
    )
    found = net.gradcheck(ROW.astype(np.float32)).targets["x"]
    assert (found.verdict, found.place and found.place.value) == ("unclear", "m")


def test_coarse_nets_are_held_to_less() -> None:
    report = portgrad.load(chain()).gradcheck(random(4, 5), wrt="all", precision="native")
    assert report.ok
    assert report.precision == "native"
    assert report.tolerance == pytest.approx(3 * 2**-11.5)
    assert len(report.targets) == 7


def test_a_report_is_plain_and_the_same_each_time() -> None:
    net = engine_net(X + "{ h = Sqrt(x) k = Floor(x) y = Add(h, k) }")
    told = net.gradcheck(ZEROS).plain()
    assert json.loads(json.dumps(told, allow_nan=False)) == told == net.gradcheck(ZEROS).plain()
    assert told["ok"] is False
    assert told["targets"]["x"]["directions"][0]["found"] == "NaN"
    assert told["evaluations"] == 1 + 3 * 16
    assert net.gradcheck(ROW**2 + 0.1).plain()["evaluations"] == 1 + 3 * 6


def test_an_empty_batch_is_fine() -> None:
    assert _verdicts(engine_net(X + "{ y = Exp(x) }"), ZEROS[:0]) == {"x": "ok"}


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"directions": 0}, "directions"),
        ({"directions": 1001}, "directions"),
        ({"directions": 2.0}, "directions"),
        ({"directions": True}, "directions"),
        ({"tolerance": 0}, "tolerance"),
        ({"tolerance": "small"}, "tolerance"),
        ({"precision": "double"}, "precision"),
        ({"random_seed": -1}, "random_seed"),
        ({"wrt": []}, "wrt"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], where: str) -> None:
    net = engine_net(X + "{ y = Exp(x) }")
    error = refusal(lambda: net.gradcheck(ROW, **options))
    assert error.where == where


def test_too_many_evaluations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portgrad.engine.gradcheck.asked.MOST_EVALUATIONS", 100)
    net = engine_net(X + "{ y = Exp(x) }")
    assert refusal(lambda: net.gradcheck(ROW, directions=7)).code == "too_many_evaluations"
    assert net.gradcheck(ROW, directions=6).ok
