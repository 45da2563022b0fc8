"""Which values all examples share, where that is not to be seen at once: inner values computed of
parameters alone, examples packed onto an axis with others, a leading 1 that is no batch.
"""

from __future__ import annotations

import numpy as np
import pytest

from portgrad.errors import NotBuilt
from support.engine import engine_net, random, refusal

W = {"w": random(3, seed=1)}
INNER = "(float[N,3] x) => (float[N,3] y) { v = Mul(w, w) h = Mul(x, v) y = Tanh(h) }"
PACKED = """(float[N,2,3] x) => (float[N,2,3] y) {
    rows = Constant<value = int64[2] {-1, 3}>()
    back = Constant<value = int64[3] {-1, 2, 3}>()
    f = Reshape(x, rows) h = Mul(f, w) t = Tanh(h) y = Reshape(t, back)
}"""
LOSS = """(float[N,3] x, float[1] t) => (float loss) {
    h = Mul(x, t) z = Mul(h, w) loss = ReduceSum<keepdims = 0>(z)
}"""
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.mark.parametrize("quantized", ["exact", "straight_through"])  # in one run, and one by one
def test_an_inner_value_of_parameters_alone_is_shared(quantized: str) -> None:
    net, x = engine_net(INNER, W), random(4, 3)
    total, mean, each = (
        net.gradient(
            x, wrt=["v", "w", "h"], reduction=reduction, quantized=quantized, outputs=["v"]
        )
        for reduction in ("sum", "mean", "per_example")
    )
    for name in ("v", "w"):
        assert each[name].shape == (4, 3)
        np.testing.assert_allclose(each[name].sum(0), total[name], **CLOSE)
        np.testing.assert_allclose(mean[name] * 4, total[name], **CLOSE)
    for found in (mean, each):
        np.testing.assert_allclose(found["h"], total["h"], **CLOSE)
        np.testing.assert_allclose(found.outputs["v"], W["w"] ** 2, **CLOSE)


def test_of_no_examples_a_shared_value_has_none_either() -> None:
    net, none, seeds = engine_net(INNER, W), random(0, 3), {"y": random(2, 0, 3)}
    outputs = ["v"]
    found = net.gradient(none, wrt=["v", "w", "h"], reduction="per_example", outputs=outputs)
    assert [found[name].shape for name in ("v", "w", "h")] == [(0, 3)] * 3
    assert found.outputs["v"].shape == (3,)
    stack = net.gradient(
        none, wrt=["v", "w"], output_gradients=seeds, stacked=True, reduction="per_example"
    )
    assert [stack[name].shape for name in ("v", "w")] == [(2, 0, 3)] * 2


def test_diagnostics_have_examples_where_gradients_have_an_axis_for_them() -> None:
    net, x = engine_net(INNER, W), random(4, 3)
    x[2] = 0
    asked = {"wrt": ["v", "w"], "reduction": "per_example", "diagnostics": True}
    for name, found in net.gradient(x, **asked).diagnostics["targets"].items():  # type: ignore[union-attr, arg-type]
        assert found["examples"]["zero"] == [2], name
    one = net.gradient(x[0], **asked).diagnostics  # type: ignore[arg-type]
    assert "examples" not in one["targets"]["w"]  # type: ignore[index]


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_jacobian_by_packed_examples_is_that_of_the_whole_arrays(direction: str) -> None:
    net, x = engine_net(PACKED, W), random(4, 2, 3)
    found = net.jacobian(x, wrt=["h", "x"], direction=direction)
    assert not found.per_example
    assert found["y"]["h"].shape == (4, 2, 3, 8, 3)
    slopes = 1 - np.tanh(x * W["w"]).ravel() ** 2
    np.testing.assert_allclose(found["y"]["h"].reshape(24, 24), np.diag(slopes), **CLOSE)
    assert net.jacobian(x, wrt="x", direction=direction).per_example


def test_packed_examples_that_run_one_by_one_are_not_built() -> None:
    net, x = engine_net(PACKED, W), random(4, 2, 3)
    error = refusal(
        lambda: net.gradient(
            x, wrt=["h", "w"], reduction="per_example", quantized="straight_through"
        )
    )
    assert isinstance(error, NotBuilt)
    assert error.where == "h"


def test_a_leading_one_beside_an_open_size_is_no_batch() -> None:
    net, data = engine_net(LOSS, W), {"x": random(4, 3), "t": np.ones(1, np.float32)}
    for reduction in ("mean", "per_example"):
        error = refusal(lambda r=reduction: net.gradient(data, wrt="w", reduction=r))
        assert error.code == "no_example_axis"
    found = net.jacobian(data, wrt=["w", "t"])
    assert not found.per_example
    np.testing.assert_allclose(found["loss"]["w"], data["x"].sum(0), **CLOSE)


def test_an_index_for_each_example_of_a_scalar() -> None:
    net = engine_net(
        "(float[1,3] x) => (float y) { h = Mul(x, w) y = ReduceSum<keepdims = 0>(h) }", W
    )
    x, none = random(4, 3), np.zeros((4, 0), np.int64)
    found = net.gradient(x, wrt="all", output_gradients={"y": {"at": none}})
    np.testing.assert_allclose(found["w"], x.sum(0), **CLOSE)


def test_numbers_of_numpy_are_widened_as_arrays_are() -> None:
    net = engine_net("(float s, float[N] x) => (float[N] y) { y = Mul(x, s) }")
    found = net.gradient({"s": np.float32(2), "x": random(3)}, precision="float64")
    assert found["x"].dtype == np.float64
