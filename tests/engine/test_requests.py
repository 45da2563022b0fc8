"""What a request means: targets, outputs that are summed, imposed gradients, inner values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import portgrad
from support.engine import counted, engine_net, refusal

# y = w·h and z = h², where h = 2x: small enough to differentiate by hand.
TWO = (
    "(float[N,2] x) => (float[N,2] y, float[N,2] z) { h = Mul(x, two) y = Mul(h, w) z = Mul(h, h) }"
)
WEIGHTS = {"two": np.float32(2.0).reshape(()), "w": np.array([3.0, 5.0], np.float32)}
X = np.array([[1.0, -1.0], [2.0, 0.5]], np.float32)


@pytest.fixture(scope="module")
def two() -> portgrad.Net:
    return engine_net(TWO, WEIGHTS)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # default: ones at all floating outputs
        ({}, {"x": [2 * 3, 2 * 5] + 8 * X}),
        ({"of": "y"}, {"x": np.tile([6.0, 10.0], (2, 1))}),
        ({"of": ["z"]}, {"x": 8 * X}),
        ({"of": ["y", "z", "y"]}, {"x": [6, 10] + 8 * X}),
        # an inner value is summed
        ({"of": "h"}, {"x": np.full((2, 2), 2.0)}),
        ({"of": ["h", "y"]}, {"x": np.tile([8.0, 12.0], (2, 1))}),
        # imposed alone: the others are not summed
        ({"output_gradients": {"y": [[1, 0], [0, 2]]}}, {"x": [[6, 0], [0, 20]]}),
        ({"output_gradients": {"h": [[1, 0], [0, 2]]}}, {"x": [[2, 0], [0, 4]]}),
        # with `of`: what is named without being imposed gets ones
        (
            {"output_gradients": {"y": [[1, 0], [0, 2]]}, "of": ["y", "z"]},
            {"x": [[6, 0], [0, 20]] + 8 * X},
        ),
        # broadcasting
        ({"output_gradients": {"y": 2.0}}, {"x": np.tile([12.0, 20.0], (2, 1))}),
        ({"output_gradients": {"y": [1, 0]}}, {"x": np.tile([6.0, 0.0], (2, 1))}),
        ({"output_gradients": {"y": [[1], [0]]}}, {"x": [[6, 10], [0, 0]]}),
        # targets: groups, names, paths, inner values, repeats
        (
            {"wrt": "parameters"},
            {"two": (X * [3, 5] + 4 * X * X).sum(), "w": 2 * X.sum(0)},
        ),
        ({"wrt": "w"}, {"w": 2 * X.sum(0)}),
        ({"wrt": ["h"], "of": "z"}, {"h": 4 * X}),
        ({"wrt": ["w", ["y", "B"], "w"]}, {"w": 2 * X.sum(0)}),
        ({"wrt": [["y", "A"]]}, {"h": [3, 5] + 4 * X}),
        ({"wrt": [["z", "C"]], "of": "z"}, {"z": np.ones((2, 2))}),
        (
            {"wrt": ["x", "h", "w"], "of": "h"},
            {"x": np.full((2, 2), 2), "h": np.ones((2, 2)), "w": [0, 0]},
        ),
        # targets never cut each other
        ({"wrt": ["h", "x"]}, {"h": [3, 5] + 4 * X, "x": [6, 10] + 8 * X}),
        # an output among the targets
        ({"wrt": ["y"]}, {"y": np.ones((2, 2))}),
        (
            {"wrt": ["y", "x"], "output_gradients": {"y": [[1, 2], [3, 4]]}},
            {"y": [[1, 2], [3, 4]], "x": [[6, 20], [18, 40]]},
        ),
    ],
)
def test_gradients_of_a_net_by_hand(
    two: portgrad.Net, options: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    found = two.gradient(X, **options)
    assert list(found) == list(expected)
    for name, gradient in expected.items():
        assert found[name].dtype == np.float32
        # Small numbers in halves: exact in float32.
        np.testing.assert_array_equal(found[name], np.asarray(gradient, np.float32))


def test_each_item_asked_has_its_target_and_each_tensor_one_gradient(two: portgrad.Net) -> None:
    found = two.gradient(X, wrt=["w", "x", ["y", "B"], "x"])
    assert found.targets == ("w", "x", "w", "x")
    assert list(found) == ["w", "x"]
    with pytest.raises(TypeError):
        found["w"] = X  # type: ignore[index]


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (True, ["y", "z"]),
        (False, []),
        (["h"], ["h"]),
        (["z", "h", "z"], ["z", "h"]),
        ([["y", "A"]], ["h"]),
    ],
)
def test_outputs_that_are_given_beside_gradients(
    two: portgrad.Net, outputs: Any, names: list[str]
) -> None:
    values = {"h": 2 * X, "y": 2 * X * [3, 5], "z": 4 * X * X}
    answered, found = two.value_and_gradient(X, outputs=outputs)
    assert list(found.outputs) == list(answered) == names
    for name in names:
        np.testing.assert_array_equal(answered[name], values[name].astype(np.float32))


@pytest.mark.parametrize(
    ("options", "code", "where"),
    [
        ({"wrt": []}, "empty_targets", "wrt"),
        ({"wrt": "v"}, "unknown_name", "wrt"),
        ({"wrt": ["inputs"]}, "unknown_name", "wrt[0]"),
        ({"wrt": 3}, "invalid_field", "wrt"),
        ({"of": []}, "empty_of", "of"),
        ({"of": "x"}, "not_an_output", "of"),
        ({"of": ["w"]}, "not_an_output", "of[0]"),
        ({"of": ["y"], "output_gradients": {"z": 1}}, "imposed_outside_of", "output_gradients.z"),
        ({"output_gradients": {"w": 1}}, "not_an_output", "output_gradients.w"),
        ({"output_gradients": {"v": 1}}, "unknown_name", "output_gradients.v"),
        ({"output_gradients": X}, "invalid_field", "output_gradients"),
        ({"output_gradients": {"y": [[[1, 1]]]}}, "wrong_seed_shape", "output_gradients.y"),
        ({"output_gradients": {"y": [1, 2, 3]}}, "wrong_seed_shape", "output_gradients.y"),
        ({"output_gradients": {"y": counted(3, 2)}}, "wrong_seed_shape", "output_gradients.y"),
        ({"output_gradients": {"h": counted(3, 2)}}, "wrong_seed_shape", "output_gradients.h"),
        ({"output_gradients": {"y": X.astype(np.float64)}}, "wrong_dtype", "output_gradients.y"),
        ({"outputs": ["v"]}, "unknown_name", "outputs[0]"),
        ({"outputs": ["x"]}, "not_an_output", "outputs[0]"),
        ({"batch": "every"}, "invalid_field", "batch"),
        ({"quantized": "rounded"}, "invalid_field", "quantized"),
    ],
)
def test_requests_that_do_not_fit_are_refused(
    two: portgrad.Net, options: Mapping[str, Any], code: str, where: str
) -> None:
    error = refusal(lambda: two.gradient(X, **options))
    assert (error.code, error.where) == (code, where)


@pytest.mark.parametrize("outputs", [False, []])
def test_an_evaluation_of_nothing_is_refused(two: portgrad.Net, outputs: Any) -> None:
    error = refusal(lambda: two.evaluate(X, outputs=outputs))
    assert (error.code, error.where) == ("invalid_field", "outputs")


@pytest.mark.parametrize(
    ("seed", "fits"),
    [
        (np.ones((2, 3), np.float32), True),
        (np.ones((1, 3), np.float32), True),
        (np.ones((2, 1), np.float32), True),
        (np.ones((3,), np.float32), True),
        (np.float32(1.0), True),
        (np.ones((3, 2), np.float32), False),
        (np.ones((6,), np.float32), False),
        (np.ones((1, 6), np.float32), False),
        (np.ones((4, 3), np.float32), False),
        (np.ones((2, 2, 3), np.float32), False),
    ],
)
def test_a_seed_of_a_shape_that_only_the_run_tells(seed: Any, fits: bool) -> None:
    net = engine_net(
        "(float[A,B] x, int64[2] s) => (float[C,D] y) { h = Reshape(x, s) y = Mul(h, h) }"
    )
    data = {"x": counted(6, 1), "s": np.array([2, 3])}
    if fits:
        found = net.gradient(data, output_gradients={"y": seed}, wrt=["x"])
        np.testing.assert_array_equal(found["x"], 2 * data["x"])
        return
    error = refusal(lambda: net.gradient(data, output_gradients={"y": seed}, wrt=["x"]))
    assert (error.code, error.where) == ("wrong_seed_shape", "output_gradients.y")


def test_a_tensor_used_in_several_places_has_one_total() -> None:
    net = engine_net("(float[2] x) => (float[2] y) { a = Mul(x, w) b = Add(a, w) y = Mul(b, w) }",
                     {"w": np.array([2.0, 3.0], np.float32)})  # fmt: skip
    found = net.gradient([1.0, -1.0], wrt=["w"])
    np.testing.assert_array_equal(found["w"], 2 * np.array([2.0, 3.0]) * [2, 0])  # (x+1)w² by w


def test_a_port_that_is_both_input_and_output() -> None:
    net = engine_net("(float[2] x) => (float[2] x, float[2] y) { y = Mul(x, x) }")
    outputs, found = net.value_and_gradient([2.0, 3.0])
    np.testing.assert_array_equal(found["x"], [5, 7])
    np.testing.assert_array_equal(outputs["x"], [2, 3])
    seeded = net.gradient([2.0, 3.0], output_gradients={"x": [10.0, 20.0]})
    np.testing.assert_array_equal(seeded["x"], [10, 20])


def test_a_net_whose_output_is_a_parameter() -> None:
    net = engine_net("(float[2] x) => (float[2] w, float[2] y) { y = Mul(x, w) }",
                     {"w": np.array([2.0, 3.0], np.float32)})  # fmt: skip
    found = net.gradient([5.0, 7.0], wrt="all")
    np.testing.assert_array_equal(found["w"], [6, 8])
    np.testing.assert_array_equal(found["x"], [2, 3])


def test_a_net_without_input_ports() -> None:
    net = engine_net(
        "() => (float[2] y) { y = Mul(w, w) }", {"w": np.array([2.0, 3.0], np.float32)}
    )
    np.testing.assert_array_equal(net.gradient({}, wrt="parameters")["w"], [4, 6])
    assert refusal(lambda: net.gradient({})).code == "empty_targets"
