"""Parameters for one call, seeds of draws, and train mode, as the engine takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portgrad
from support.engine import Array, engine_net, net_bytes, random, refusal

W = {"w": random(3, 4, seed=1), "b": random(4, seed=2)}
BODY = "(float[N,3] x) => (float[N,4] y) { h = MatMul(x, w) z = Add(h, b) y = Tanh(z) }"
SAME: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-7}


def uploaded(**weights: Array) -> portgrad.Net:
    return engine_net(BODY, {**W, **weights})


@pytest.mark.parametrize("names", [["w"], ["b"], ["w", "b"]])
@pytest.mark.parametrize("shape", [(5, 3), (3,)])
def test_parameters_of_a_call_are_as_if_uploaded(names: list[str], shape: tuple[int, ...]) -> None:
    values = {name: random(*W[name].shape, seed=7) for name in names}
    net, other, x = uploaded(), uploaded(**values), random(*shape)
    tangents = {"x": x, "w": W["w"]}
    calls: dict[str, dict[str, Any]] = {
        "evaluate": {},
        "gradient": {"wrt": "all", "outputs": True},
        "jvp": {"tangents": tangents},
        "hvp": {"tangents": tangents, "wrt": "all"},
    }
    for call, options in calls.items():
        found = getattr(net, call)(x, parameters=values, **options)
        expected = getattr(other, call)(x, **options)
        assert list(found) == list(expected)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], **SAME, err_msg=call)
    np.testing.assert_array_equal(net.evaluate(x)["y"], uploaded().evaluate(x)["y"])
    jacobian = net.jacobian(x, wrt="all", parameters=values)["y"]
    np.testing.assert_allclose(jacobian["w"], other.jacobian(x, wrt="w")["y"]["w"], **SAME)


def test_other_values_take_no_other_session() -> None:
    net, x = uploaded(), random(2, 3)
    sessions = net._variants._sessions
    net.gradient(x, parameters={"w": W["w"]})
    kept = len(sessions)
    for seed in range(3):
        net.gradient(x, parameters={"w": random(3, 4, seed=seed)})
    assert len(sessions) == kept


def test_an_array_in_double_is_told_of_both_ways_on() -> None:
    error = refusal(lambda: uploaded().gradient(random(2, 3).astype(np.float64)))
    assert error.code == "wrong_dtype"
    assert "as float32" in str(error.remedy)
    assert '`precision: "float64"`' in str(error.remedy)


def test_lists_are_cast_as_data_are() -> None:
    found = uploaded().evaluate(random(2, 3), parameters={"b": [0, 1, 2, 3.5]})["y"]
    expected = uploaded(b=np.asarray([0, 1, 2, 3.5], np.float32)).evaluate(random(2, 3))["y"]
    np.testing.assert_array_equal(found, expected)


RESIZED = '(float[1,1,2,2] x) => (float[1,1,a,b] y) { y = Resize<mode = "nearest">(x, , scales) }'


@pytest.mark.parametrize(
    ("parameters", "code", "where"),
    [
        ({"v": 1.0}, "unknown_parameter", "parameters.v"),
        ({"x": random(2, 3)}, "unknown_parameter", "parameters.x"),
        ({"w": random(4, 3)}, "wrong_parameter_shape", "parameters.w"),
        ({"w": 1.0}, "wrong_parameter_shape", "parameters.w"),
        ({"w": W["w"].astype(np.float64)}, "wrong_dtype", "parameters.w"),
        ({"w": "heavy"}, "wrong_dtype", "parameters.w"),
        ([1.0], "invalid_field", "parameters"),
    ],
)
def test_values_that_do_not_fit_are_refused(parameters: Any, code: str, where: str) -> None:
    error = refusal(lambda: uploaded().gradient(random(2, 3), parameters=parameters))
    assert (error.code, error.where) == (code, where)


def test_a_parameter_that_fixes_shapes_cannot_be_overridden() -> None:
    scales = np.asarray([1, 1, 2, 2], np.float32)
    net = portgrad.load(net_bytes(RESIZED, {"scales": scales}), threads=1)
    error = refusal(lambda: net.evaluate(random(1, 1, 2, 2), parameters={"scales": scales}))
    assert (error.code, error.where) == ("not_overridable", "parameters.scales")


@pytest.mark.parametrize(
    ("body", "weights", "operator"),
    [
        (
            "(float[1,1,2,2] x) => (float[1,1,H,W] y) "
            "{ z = Resize(x, , scales) s = ReduceSum<keepdims = 0>(scales) y = Mul(z, s) }",
            {"scales": np.asarray([1, 1, 2, 2], np.float32)},
            "Resize node `z`",
        ),
        (
            "(float[1] x) => (float[1] y) "
            "{ half = Mul(step, step) r = Range(none, one, half) m = Mul(r, x) y = ReduceMean(m) }",
            {n: np.asarray(v, np.float32) for n, v in (("none", 0), ("one", 1), ("step", 1))},
            "Range node `r`",
        ),
    ],
)
def test_a_parameter_that_fixes_sizes_and_is_used_otherwise_cannot_be_overridden(
    body: str, weights: dict[str, Any], operator: str
) -> None:
    """The shapes that are known of the net hold for its own value."""
    net = engine_net(body, weights)
    name = list(weights)[-1]
    [port] = net.description.inputs
    data = np.ones(port.shape, np.float32)
    error = refusal(lambda: net.gradient(data, parameters={name: weights[name]}))
    assert (error.code, error.where) == ("not_overridable", f"parameters.{name}")
    assert operator in str(error)


def test_a_parameter_that_is_an_output_too_can_be_overridden() -> None:
    net = engine_net(
        "(float[N,3] x) => (float[N,3] y, float[3,3] w) { y = MatMul(x, w) }",
        {"w": random(3, 3)},
    )
    x, w = random(2, 3, seed=1), random(3, 3, seed=2)
    found = net.gradient(x, wrt="all", of=["y", "w"], parameters={"w": w}, outputs=True)
    np.testing.assert_array_equal(found.outputs["w"], w)
    np.testing.assert_allclose(found["w"], x.T @ np.ones((2, 3), np.float32) + 1, rtol=1e-6)
    pushed = net.jvp(x, tangents={"w": w}, of=["w"])
    np.testing.assert_array_equal(pushed["w"], w)


def test_the_parameters_of_subgraphs_can_be_overridden() -> None:
    body = """(float[2] x, bool c) => (float[2] y) {
        y = If(c) <then_branch = t () => (float[2] a) <float[2] k = {2.0, 3.0}> { a = Mul(x, k) },
                   else_branch = e () => (float[2] b) { b = Neg(x) }>
    }"""
    net = engine_net(body)
    [name] = net.names.parameters
    data = {"x": np.ones(2, np.float32), "c": np.asarray(True)}
    values = {name: np.asarray([5, 7], np.float32)}
    found = net.gradient(data, parameters=values, outputs=True)
    np.testing.assert_array_equal(found["x"], [5, 7])
    np.testing.assert_array_equal(found.outputs["y"], [5, 7])


DRAWING = (
    "(float[{lead},3] x) => (float[{lead},3] y) "
    "{{ r = RandomNormalLike(x) d = Dropout(x) y = Mul(r, d) }}"
)


@pytest.mark.parametrize("lead", ["1", "N"])
@pytest.mark.parametrize("mode", ["test", "train"])
def test_one_seed_gives_the_same_numbers_in_every_call(lead: str, mode: str) -> None:
    net, x = engine_net(DRAWING.format(lead=lead)), np.ones((64, 3), np.float32)
    values = net.evaluate(x, mode=mode, random_seed=5)
    found = net.gradient(x, mode=mode, random_seed=5, outputs=True)
    np.testing.assert_array_equal(found.outputs["y"], values["y"])
    np.testing.assert_allclose(found["x"], values["y"], **SAME)  # linear in x, and x is 1
    pushed = net.jvp(x, tangents={"x": x}, mode=mode, random_seed=5)["y"]
    np.testing.assert_allclose(pushed, values["y"], **SAME)
    assert (values.random_seed, found.random_seed) == (5, 5)
    assert len(np.unique(values["y"])) > 64  # no two examples draw the same
    assert (values["y"] == 0).any() == (mode == "train")
    other = net.evaluate(x, mode=mode, random_seed=6)["y"]
    assert (other != values["y"]).any()


def test_what_is_asked_for_does_not_change_the_draws() -> None:
    """Examples meet in `z` alone: `h` could be had in one run."""
    net = engine_net(
        """(float[1,3] x) => (float[1,3] h, float[1,3] z) {
        e = RandomNormalLike(x) h = Add(x, e) axis = Constant<value = int64 {0}>()
        z = CumSum(h, axis) }"""
    )
    x = random(4, 3)
    whole = net.evaluate(x, random_seed=7)["h"]
    np.testing.assert_array_equal(net.evaluate(x, outputs=["h"], random_seed=7)["h"], whole)
    found = net.gradient(x, of="h", outputs=["h"], random_seed=7)
    np.testing.assert_array_equal(found.outputs["h"], whole)


@pytest.mark.parametrize("lead", ["N", "1"])
def test_gradients_by_example_of_other_draws_are_refused(lead: str) -> None:
    net = engine_net(
        f"(float[{lead},3] x) => (float[{lead},3] y) "
        "{ e = RandomNormalLike(x) h = Add(x, e) y = Mul(h, w) }",
        {"w": random(3)},
    )
    asked = {"wrt": "w", "reduction": "per_example", "quantized": "straight_through"}
    error = refusal(lambda: net.gradient(random(4, 3), **asked))  # type: ignore[arg-type]
    assert error.code == "not_built"
    assert "draw other numbers" in error.detail
    assert net.gradient(random(4, 3), **{**asked, "quantized": "exact"})["w"].shape == (4, 3)  # type: ignore[arg-type]


def test_one_example_draws_the_same_in_every_call() -> None:
    """Also where what is drawn has a shape of its own, so that examples run one by one."""
    net = engine_net(
        "(float[1,3] x) => (float[1,3] y) { r = RandomUniform<shape = [3]> () y = Mul(x, r) }"
    )
    x = np.ones((1, 3), np.float32)
    values = net.evaluate(x, random_seed=5)["y"]
    each = net.gradient(x, reduction="per_example", random_seed=5)
    np.testing.assert_array_equal(each["x"], values)
    blocks = net.jacobian(x, outputs=True, random_seed=5)
    np.testing.assert_array_equal(blocks.outputs["y"], values)
    np.testing.assert_array_equal(np.diagonal(blocks["y"]["x"][0]), values[0])


def test_over_a_fixed_one_what_would_see_other_draws_is_refused() -> None:
    net = engine_net(
        "(float[1,3] x) => (float[1,3] y) "
        "{ e = RandomNormalLike(x) v = Mul(w, w) h = Mul(e, v) y = Add(h, x) }",
        {"w": random(3)},
    )
    error = refusal(lambda: net.gradient(random(2, 3), wrt="v"))
    assert (error.code, "draw other numbers" in error.detail) == ("not_built", True)
    error = refusal(lambda: net.gradient(random(2, 3), diagnostics=True))
    assert (error.code, error.where) == ("not_built", "diagnostics")
    assert net.gradient(random(1, 3), wrt="v", diagnostics=True)["v"].any()


def test_without_a_seed_a_fresh_one_is_drawn_and_told() -> None:
    net, x = engine_net(DRAWING.format(lead="N")), np.ones((8, 3), np.float32)
    first, second = net.evaluate(x), net.evaluate(x)
    assert (first["y"] != second["y"]).any()
    assert first.random_seed is not None
    again = net.evaluate(x, random_seed=first.random_seed)
    np.testing.assert_array_equal(again["y"], first["y"])


def test_a_net_that_draws_nothing_has_no_seed() -> None:
    assert uploaded().evaluate(random(2, 3), random_seed=4).random_seed is None


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"random_seed": -1}, "random_seed"),
        ({"random_seed": 2**63}, "random_seed"),
        ({"random_seed": 1.5}, "random_seed"),
        ({"random_seed": True}, "random_seed"),
        ({"mode": "training"}, "mode"),
        ({"mode": 3}, "mode"),
        ({"precision": "float16"}, "precision"),
    ],
)
def test_settings_that_do_not_exist_are_refused(settings: Any, where: str) -> None:
    error = refusal(lambda: uploaded().evaluate(random(2, 3), **settings))
    assert (error.code, error.where) == ("invalid_field", where)
