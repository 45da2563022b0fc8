"""Train mode and random seeds, asked of a net: what is drawn, what is repeated, what is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import portgrad
from portgrad.errors import InvalidRequest

RNG = np.random.default_rng(2)
X = RNG.standard_normal((6, 3)).astype(np.float32)
DROPOUT = "(float[n, 3] x) => (float[n, 3] y) { y = Dropout(x) }"
NORM = """(float[BATCH, 3] x) => (float[BATCH, 3] y)
    <float[3] s = {1, 2, 3}, float[3] b = {0, 1, 2}, float[3] m = {0, 0, 0}, float[3] v = {1, 1, 1}>
    { z = BatchNormalization(x, s, b, m, v) y = Tanh(z) }"""


def _net(text: str, opset: int = 21) -> portgrad.Net:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {opset}]> net {text}')
    return portgrad.load(model.SerializeToString())


def test_dropout_drops_in_train_mode_alone() -> None:
    net = _net(DROPOUT)
    np.testing.assert_array_equal(net.evaluate(X)["y"], X)
    y, found = net.value_and_gradient(X, mode="train", random_seed=5)
    factor = found["x"]
    assert set(np.unique(factor)) == {0.0, 2.0}
    np.testing.assert_array_equal(y["y"], X * factor)


def test_a_seed_repeats_a_call_and_a_fresh_one_is_told() -> None:
    net, other = _net(DROPOUT), _net(DROPOUT)
    fresh = net.gradient(X, mode="train")
    assert fresh.random_seed is not None
    again = other.gradient(X, mode="train", random_seed=fresh.random_seed)
    np.testing.assert_array_equal(fresh["x"], again["x"])
    changed = [net.gradient(X, mode="train", random_seed=k)["x"].tobytes() for k in range(5)]
    assert len(set(changed)) == 5


def test_a_net_that_draws_in_any_mode_has_a_seed_in_any_mode() -> None:
    net = _net("(float[n, 3] x) => (float[n, 3] y) { u = RandomNormalLike(x) y = Mul(x, u) }")
    y, found = net.value_and_gradient(X, random_seed=3)
    np.testing.assert_allclose(y["y"], X * found["x"], rtol=1e-6)
    assert net.gradient(X).random_seed is not None


def test_operators_that_the_runtime_has_no_kernel_for_are_drawn_too() -> None:
    net = _net("(float[n, 3] x) => (int32[n, 4] y) { y = Multinomial<sample_size = 4>(x) }", 22)
    net.check()
    assert net.evaluate(X, random_seed=1)["y"].shape == (6, 4)


DRAWS = [
    ("n", "y = Dropout(x)"),
    ("n", "n = RandomNormalLike(x) y = Mul(x, n)"),
    ("1", "y = Dropout(x)"),
    ("1", "n = RandomNormalLike(x) y = Mul(x, n)"),
    ("1", "n = RandomNormal<shape = [1, 3]>() y = Mul(x, n)"),  # example by example
]


@pytest.mark.parametrize(("batch", "draw"), DRAWS)
def test_examples_of_a_batch_have_their_own_draws(batch: str, draw: str) -> None:
    net = _net(f"(float[{batch}, 3] x) => (float[{batch}, 3] y) {{ {draw} }}")
    x = np.ones((64, 3), np.float32)
    one, other = (net.evaluate(x, mode="train", random_seed=9)["y"] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    # A mask of three elements has eight values; 64 of them show each one.
    assert len({row.tobytes() for row in one}) == (8 if "Dropout" in draw else 64)


def test_batch_statistics() -> None:
    net = _net(NORM.replace("BATCH", "n"))
    y = net.evaluate(X, mode="train")["y"]
    normal = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5)
    np.testing.assert_allclose(y, np.tanh(normal * [1, 2, 3] + [0, 1, 2]), rtol=1e-4, atol=1e-5)
    gradient = net.gradient(X, wrt=["x", "s", "m"], mode="train")
    assert gradient["s"].any()
    assert not gradient["m"].any()
    np.testing.assert_allclose(gradient["x"].sum(0), np.zeros(3), atol=1e-4)
    assert net.gradient(X, mode="train").random_seed is None
    # A call in train mode leaves nothing behind.
    given = np.tanh(X / np.sqrt(1 + 1e-5) * [1, 2, 3] + [0, 1, 2])
    np.testing.assert_allclose(net.evaluate(X)["y"], given, rtol=1e-4, atol=1e-6)


def test_an_example_that_runs_alone_has_no_batch_to_be_normalised_by() -> None:
    net = _net(NORM.replace("BATCH", "1"))
    assert net.evaluate(X)["y"].shape == (6, 3)
    for call in (net.evaluate, net.gradient):
        with pytest.raises(InvalidRequest) as caught:
            call(X, mode="train")
        assert caught.value.code == "statistics_of_one"
    assert net.evaluate(X[:1], mode="train")["y"].shape == (1, 3)


@pytest.mark.parametrize(
    ("body", "warned"),
    [
        ("y = Sin(x)", True),
        ("y = Dropout(x)", False),
        ("r = Constant<value = float {0}>() y = Dropout(x, r)", True),
        ("n = RandomNormalLike(x) y = Add(x, n)", True),
    ],
)
def test_a_net_that_is_never_trained_says_so(body: str, warned: bool) -> None:
    net = _net(f"(float[n, 3] x) => (float[n, 3] y) {{ {body} }}")
    told = [w for w in net.gradient(X, mode="train").warnings if "changes nothing" in w]
    assert len(told) == warned
    assert list(net.evaluate(X, mode="train").warnings) == told
    assert net.gradient(X).warnings == net.evaluate(X).warnings == ()
