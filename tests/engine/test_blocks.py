"""Jacobians and Hessians against central differences, in every reading and both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.engine.limits import Limits
from support.engine import Array, engine_net, net_bytes, refusal

W = {
    "w": np.random.default_rng(0).standard_normal((3, 4)),
    "b": np.random.default_rng(1).standard_normal(4),
}
BODY = (
    "(double[{lead},3] x) => (double[{lead},4] y) {{ h = MatMul(x, w) z = Add(h, b) y = Tanh(z) }}"
)
STEP = 1e-5
CLOSE: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-9}


def f(x: Array, w: Array = W["w"], b: Array = W["b"]) -> Array:
    return np.asarray(np.tanh(x @ w + b))


def differences(function: Callable[[Array], Array], at: Array) -> Array:
    """(*output, *input) by central differences."""
    units = np.eye(at.size).reshape(at.size, *at.shape) * STEP
    columns = [(function(at + u) - function(at - u)) / (2 * STEP) for u in units]
    return np.stack(columns, -1).reshape(*columns[0].shape, *at.shape)


def net(lead: str) -> portgrad.Net:
    return engine_net(BODY.format(lead=lead), W)


def examples(count: int) -> Array:
    return np.random.default_rng(2).standard_normal((count, 3))


@pytest.mark.parametrize("direction", [None, "forward", "reverse"])
@pytest.mark.parametrize(("lead", "batch"), [("1", None), ("N", "each"), ("N", None)])
def test_a_batch_has_a_jacobian_for_each_example(
    lead: str, batch: str | None, direction: str | None
) -> None:
    x = examples(5)
    found = net(lead).jacobian(x, wrt="all", batch=batch, direction=direction)
    assert found.per_example
    assert found.targets == ("x", "w", "b")
    assert found.direction in ({direction} if direction else {"forward", "reverse"})
    for index, one in enumerate(x):
        blocks = {name: block[index] for name, block in found["y"].items()}
        np.testing.assert_allclose(blocks["x"], differences(f, one), **CLOSE)
        np.testing.assert_allclose(blocks["w"], differences(lambda w: f(one, w), W["w"]), **CLOSE)  # noqa: B023
        np.testing.assert_allclose(blocks["b"], differences(lambda b: f(one, b=b), W["b"]), **CLOSE)  # noqa: B023


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 3)])
def test_as_it_is_the_jacobian_is_that_of_the_whole_arrays(
    shape: tuple[int, ...], direction: str
) -> None:
    x = examples(2).ravel()[: int(np.prod(shape))].reshape(shape)
    forced = "as_is" if len(shape) == 2 else None
    found = net("N").jacobian(x, wrt="all", batch=forced, direction=direction, outputs=True)
    assert not found.per_example
    assert found["y"]["x"].shape == (*shape[:-1], 4, *shape)
    np.testing.assert_allclose(found.outputs["y"], f(x), **CLOSE)
    if x.size:
        np.testing.assert_allclose(found["y"]["x"], differences(f, x), **CLOSE)
        np.testing.assert_allclose(found["y"]["w"], differences(lambda w: f(x, w), W["w"]), **CLOSE)


def test_the_direction_is_that_of_fewer_products() -> None:
    assert net("1").jacobian(examples(2)).direction == "forward"  # 3 inputs, 4 outputs
    assert net("1").jacobian(examples(2), wrt="all").direction == "reverse"


def _gradients(x: Array, w: Array, b: Array) -> dict[str, Array]:
    """Of the sum of squares of the outputs."""
    y = f(x, w, b)
    ct = 2 * y * (1 - y * y)
    return {"x": ct @ w.T, "w": np.outer(x, ct), "b": ct}


SQUARES = BODY.replace("y = Tanh(z)", "t = Tanh(z) y = Mul(t, t)")


@pytest.mark.parametrize(("lead", "batch"), [("1", None), ("N", "each"), ("N", None)])
def test_a_hessian_has_blocks_by_example_and_totals(lead: str, batch: str | None) -> None:
    x = examples(3)
    found = engine_net(SQUARES.format(lead=lead), W).hessian(x, wrt="all", batch=batch)
    assert found.per_example

    def expected(one: Array, a: str, b: str) -> Array:
        at = {"x": one, **W}
        return differences(lambda v: _gradients(**{**at, b: v})[a], at[b])

    for a in ("x", "w", "b"):
        for b in ("x", "w", "b"):
            each = np.stack([expected(one, a, b) for one in x])
            wanted = each if "x" in (a, b) else each.sum(0)
            np.testing.assert_allclose(found[a][b], wanted, rtol=1e-6, atol=1e-8, err_msg=f"{a}{b}")
            axes = np.ndim(W.get(a, x[0]))
            lead_axes = int("x" in (a, b))
            order = [*range(lead_axes), *range(lead_axes + axes, found[a][b].ndim)]
            order += range(lead_axes, lead_axes + axes)
            np.testing.assert_allclose(found[a][b].transpose(order), found[b][a], **CLOSE)


def test_a_hessian_of_one_example_has_no_example_axis() -> None:
    x = examples(1)[0]
    found = engine_net(SQUARES.format(lead="N"), W).hessian(x, of="y", wrt="x")
    assert not found.per_example
    wanted = differences(lambda v: _gradients(v, **W)["x"], x)
    np.testing.assert_allclose(found["x"]["x"], wanted, rtol=1e-6, atol=1e-8)


def test_blocks_of_single_numbers() -> None:
    net = engine_net("(double x) => (double y) { q = Mul(x, x) y = Mul(q, x) }")
    x = np.asarray(2.0)
    np.testing.assert_array_equal(net.jacobian(x)["y"]["x"], 12.0)
    np.testing.assert_array_equal(net.jacobian(x, direction="forward")["y"]["x"], 12.0)
    np.testing.assert_array_equal(net.hessian(x)["x"]["x"], 12.0)


def test_a_loss_without_examples_has_the_jacobian_of_the_whole_arrays() -> None:
    body = (
        BODY.format(lead="N").replace("(double[N,4] y)", "(double l)")[:-1]
        + " l = ReduceSum<keepdims = 0>(y) }"
    )
    found = engine_net(body, W).jacobian(examples(2))
    assert not found.per_example
    np.testing.assert_allclose(
        found["l"]["x"], differences(lambda x: f(x).sum(), examples(2)), **CLOSE
    )


MIXING = "(double[N,3] x) => (double[N,3] y) { m = ReduceMean<keepdims = 1>(x, a) y = Sub(x, m) }"
AXES = {"a": np.asarray([0])}


def test_examples_that_may_meet_are_refused_and_both_remedies_work() -> None:
    mixing = engine_net(MIXING, AXES)
    error = refusal(lambda: mixing.jacobian(examples(2)))
    assert (error.code, error.where) == ("examples_may_meet", "batch")
    whole = mixing.jacobian(examples(2), batch="as_is")["y"]["x"]
    np.testing.assert_allclose(whole, differences(lambda x: x - x.mean(0), examples(2)), **CLOSE)
    alone = mixing.jacobian(examples(2), batch="each")
    np.testing.assert_array_equal(alone["y"]["x"], np.zeros((2, 3, 3)))


@pytest.mark.parametrize("kind", ["jacobian", "hessian"])
def test_what_is_larger_than_an_answer_is_refused_with_its_size(kind: str) -> None:
    body = "(double[N,1000] x) => (double[N,1000] y) { y = Mul(x, x) }"
    small = portgrad.load(net_bytes(body), threads=1, limits=Limits(answer_bytes=10**6))
    error = refusal(lambda: getattr(small, kind)(np.ones((3, 1000))))
    assert (error.code, error.found, error.expected) == (
        "answer_too_large",
        "24 MB",
        "at most 1 MB",
    )


def test_blocks_are_computed_in_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portgrad.engine.blocks.RUN_BYTES", 300)
    x = examples(2)
    for direction in ("forward", "reverse"):
        found = net("1").jacobian(x, direction=direction)
        np.testing.assert_allclose(found["y"]["x"], [differences(f, one) for one in x], **CLOSE)


def test_a_direction_that_does_not_exist_is_refused() -> None:
    error = refusal(lambda: net("1").jacobian(examples(1), direction="backward"))
    assert (error.code, error.where) == ("invalid_field", "direction")


def test_examples_are_found_where_a_size_is_known_only_when_it_runs() -> None:
    """A Reshape to -1 leaves the leading size of the output open; the structure proves it."""
    body = (
        "(double[N,2,3] x) => (double[M,4] y) "
        "{ f = Reshape(x, flat) h = MatMul(f, w) z = Add(h, b) y = Tanh(z) }"
    )
    weights = {"w": np.concatenate([W["w"], W["w"]]), "b": W["b"], "flat": np.asarray([-1, 6])}
    net = engine_net(body, weights)
    x = np.random.default_rng(3).standard_normal((4, 2, 3))
    found = net.jacobian(x)
    assert found.per_example
    assert found["y"]["x"].shape == (4, 4, 2, 3)
    whole = net.jacobian(x, batch="as_is")["y"]["x"]
    for index in range(4):
        np.testing.assert_allclose(found["y"]["x"][index], whole[index, :, index], **CLOSE)
    assert net.gradient(x, wrt="w", reduction="per_example")["w"].shape == (4, 6, 4)
