"""Many cotangents or tangents in one run, seeds by class, and gradients of each example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.engine.limits import Limits
from support.engine import Array, engine_net, net_bytes, random, refusal

W = {"w": random(3, 4, seed=1), "b": random(4, seed=2)}
LAYER = (
    "(float[{lead},3] x) => (float[{lead},4] y) {{ h = MatMul(x, w) z = Add(h, b) y = Tanh(z) }}"
)
# Its structure is not proven to keep examples apart, though it does.
GATED = (
    "(float[{lead},3] x) => (float[{lead},4] y) {{ h = MatMul(x, w) z = Add(h, b) "
    "most = ReduceMax<keepdims = 0>(w) c = Greater(most, zero) "
    "y = If(c) <then_branch = t () => (float[M,4] a) {{ a = Tanh(z) }}, "
    "else_branch = e () => (float[M,4] n) {{ n = Neg(z) }}> }}"
)
NETS = {"proven": (LAYER, W), "one by one": (GATED, {**W, "zero": np.zeros((), np.float32)})}
SAME: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}
READINGS = [("1", 2, None), ("N", 2, None), ("N", 2, "each"), ("N", None, None), ("1", None, None)]


def made(kind: str, lead: str) -> portgrad.Net:
    body, weights = NETS[kind]
    return engine_net(body.format(lead=lead), weights)


def shaped(count: int | None, *shape: int, seed: int = 0) -> Array:
    return random(*shape, seed=seed) if count is None else random(count, *shape, seed=seed)


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize(("lead", "count", "batch"), READINGS)
def test_a_stack_is_its_seeds_one_by_one(
    kind: str, lead: str, count: int | None, batch: str | None
) -> None:
    net, x = made(kind, lead), shaped(count, 3)
    seeds = np.stack([shaped(count, 4, seed=k) for k in range(3)])
    options: dict[str, Any] = {"wrt": "all", "batch": batch, "outputs": True}
    found = net.gradient(x, output_gradients={"y": seeds}, stacked=True, **options)
    assert found.outputs["y"].shape == seeds.shape[1:]
    for index, seed in enumerate(seeds):
        one = net.gradient(x, output_gradients={"y": seed}, **options)
        for name, gradient in one.items():
            np.testing.assert_allclose(found[name][index], gradient, **SAME, err_msg=name)


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize(("lead", "count", "batch"), READINGS)
def test_products_with_tangents_in_every_reading(
    kind: str, lead: str, count: int | None, batch: str | None
) -> None:
    """<u, Jv> = <J'u, v>; a stack is its tangents one by one; Hessians are symmetric."""
    net, x, seed = made(kind, lead), shaped(count, 3), shaped(count, 4, seed=5)
    tangents = [{"x": shaped(count, 3, seed=k), "w": random(3, 4, seed=k)} for k in (6, 7)]
    stack = {name: np.stack([one[name] for one in tangents]) for name in tangents[0]}
    gradients = net.gradient(x, wrt=["x", "w"], output_gradients={"y": seed}, batch=batch)
    pushed = net.jvp(x, tangents=stack, stacked=True, batch=batch, outputs=True)
    bent = net.hvp(x, tangents=stack, stacked=True, output_gradients={"y": seed}, batch=batch)
    assert pushed.outputs["y"].shape == seed.shape
    products = []
    for index, tangent in enumerate(tangents):
        one = net.jvp(x, tangents=tangent, batch=batch)["y"]
        np.testing.assert_allclose(pushed["y"][index], one, **SAME)
        inner = sum(np.vdot(gradients[name], tangent[name]) for name in tangent)
        np.testing.assert_allclose(np.vdot(seed, one), inner, **SAME)
        product = net.hvp(x, tangents=tangent, output_gradients={"y": seed}, batch=batch)
        assert product.targets == ("x", "w")
        for name in tangent:
            np.testing.assert_allclose(bent[name][index], product[name], **SAME)
        products.append(product)
    one, other = (
        sum(np.vdot(products[a][name], tangents[b][name]) for name in tangents[b])
        for a, b in ((0, 1), (1, 0))
    )
    np.testing.assert_allclose(one, other, **SAME)


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize(("lead", "count", "batch"), READINGS)
def test_gradients_by_example_sum_to_the_total(
    kind: str, lead: str, count: int | None, batch: str | None
) -> None:
    if kind == "one by one" and (lead, batch) == ("N", None) and count:
        error = refusal(
            lambda: made(kind, lead).gradient(shaped(count, 3), reduction="per_example")
        )
        assert error.code == "examples_may_meet"
        return
    net, x = made(kind, lead), shaped(count, 3)
    seeds = np.stack([shaped(count, 4, seed=k) for k in range(2)])
    total = net.gradient(x, wrt="all", output_gradients={"y": seeds[0]}, batch=batch)
    mean, each = (
        net.gradient(x, wrt="all", output_gradients={"y": seeds[0]}, batch=batch, reduction=way)
        for way in ("mean", "per_example")
    )
    stacked = net.gradient(
        x,
        wrt="all",
        output_gradients={"y": seeds},
        stacked=True,
        reduction="per_example",
        batch=batch,
    )
    np.testing.assert_allclose(each["x"], total["x"], **SAME)
    for name in ("w", "b"):
        apart = each[name] if count else each[name][None]
        assert apart.shape == (count or 1, *W[name].shape)
        np.testing.assert_allclose(apart.sum(0), total[name], **SAME)
        np.testing.assert_allclose(apart.mean(0), mean[name], **SAME)
        np.testing.assert_allclose(stacked[name][0], each[name], **SAME)
    for index in range(count or 0):
        alone = net.gradient(x[index], wrt="all", output_gradients={"y": seeds[0][index]})
        np.testing.assert_allclose(each["w"][index], alone["w"], **SAME)


@pytest.mark.parametrize(("lead", "count", "batch"), READINGS[:3])
def test_no_examples_and_no_seeds(lead: str, count: int, batch: str | None) -> None:
    net, none, some = made("proven", lead), random(0, 3), random(count, 3)
    options: dict[str, Any] = {"wrt": "all", "batch": batch}
    each = net.gradient(none, reduction="per_example", **options)
    assert {n: a.shape for n, a in each.items()} == {"x": (0, 3), "w": (0, 3, 4), "b": (0, 4)}
    assert not net.gradient(none, reduction="mean", **options)["w"].any()
    seeds = {"y": random(5, 0, 4)}
    stacked = net.gradient(none, output_gradients=seeds, stacked=True, **options)
    assert {n: a.shape for n, a in stacked.items()} == {"x": (5, 0, 3), "w": (5, 3, 4), "b": (5, 4)}
    seeds = {"y": random(0, count, 4)}
    nothing = net.gradient(some, output_gradients=seeds, stacked=True, **options)
    assert {n: a.shape for n, a in nothing.items()} == {
        "x": (0, count, 3),
        "w": (0, 3, 4),
        "b": (0, 4),
    }
    assert net.jvp(none, tangents={"x": none}, batch=batch)["y"].shape == (0, 4)


def test_stacks_are_refused_before_they_are_computed_where_they_are_too_large() -> None:
    body = "(float[N,1] x) => (float[N,1000] y) { y = Mul(x, w) }"
    net = portgrad.load(
        net_bytes(body, {"w": random(1, 1000)}), threads=1, limits=Limits(answer_bytes=10**5)
    )
    x, tangents = random(2, 1), random(50, 2, 1)
    for call, options in {
        "jvp": {"tangents": {"x": tangents}},
        "hvp": {"tangents": {"x": tangents}, "wrt": "w"},
        "gradient": {"wrt": "w", "output_gradients": {"y": random(50, 2, 1000)}},
    }.items():
        error = refusal(lambda c=call, o=options: getattr(net, c)(x, stacked=True, **o))
        size = "400 kB" if call == "jvp" else "200 kB"
        assert (error.code, error.found, error.expected) == (
            "answer_too_large", size, "at most 100 kB",
        )  # fmt: skip


CUBE = "(float[N,2,3] x) => (float[N,2,3] y) { y = Tanh(x) }"


@pytest.mark.parametrize(
    ("seed", "places"),
    [
        ({"index": 2}, [2, 2]),
        ({"index": [2, 0]}, [2, 0]),
        ({"at": [2]}, [2, 2]),
        ({"at": [[2], [0]]}, [2, 0]),
        ({"index": np.asarray([1, 3], np.int32)}, [1, 3]),
    ],
)
@pytest.mark.parametrize("lead", ["1", "N"])
def test_a_class_seed_is_a_one_at_its_index(lead: str, seed: Any, places: list[int]) -> None:
    net, x = made("proven", lead), random(2, 3)
    found = net.gradient(x, wrt="all", output_gradients={"y": seed})
    imposed = np.eye(4, dtype=np.float32)[places]
    expected = net.gradient(x, wrt="all", output_gradients={"y": imposed})
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize(
    ("seed", "places"),
    [
        ({"index": [0, 1, 3]}, [[0, 0], [1, 1], [3, 3]]),
        ({"index": [[0, 1], [1, 2], [3, 0]]}, [[0, 1], [1, 2], [3, 0]]),
        ({"at": [[0], [1], [3]]}, [[0, 0], [1, 1], [3, 3]]),
        ({"at": [[[0], [1]], [[1], [2]], [[3], [0]]]}, [[0, 1], [1, 2], [3, 0]]),
    ],
)
@pytest.mark.parametrize("lead", ["1", "N"])
def test_class_seeds_in_a_stack(lead: str, seed: Any, places: list[list[int]]) -> None:
    net, x = made("proven", lead), random(2, 3)
    found = net.gradient(x, output_gradients={"y": seed}, stacked=True)["x"]
    imposed = np.eye(4, dtype=np.float32)[np.asarray(places)]
    expected = net.gradient(x, output_gradients={"y": imposed}, stacked=True)["x"]
    np.testing.assert_array_equal(found, expected)


def test_indices_at_an_output_of_any_rank_and_of_a_size_known_only_when_it_runs() -> None:
    x = random(2, 2, 3)
    body = CUBE.replace("y = Tanh(x)", "t = Tanh(x) n = NonZero(t) s = Shape(x) y = Reshape(t, s)")
    for text in (CUBE, body):
        net = engine_net(text)
        found = net.gradient(x, output_gradients={"y": {"at": [[1, 2], [0, 0]]}})["x"]
        expected = np.zeros_like(x)
        expected[0, 1, 2] = expected[1, 0, 0] = 1
        np.testing.assert_allclose(found, expected * (1 - np.tanh(x) ** 2), **SAME)


@pytest.mark.parametrize(
    "text",
    [
        "(float[2,3] x) => (float[2,3] y) { y = Tanh(x) }",
        """(float[N,3] x) => (float[N,3] y) <int64 trip = {1}> {
            c = Constant<value = bool {1}>()
            y = Loop(trip, c, x) <body = b (int64 i, bool d, float[N,3] s) =>
                (bool e, float[N,3] t) { e = Identity(d) t = Tanh(s) }>
        }""",
    ],
    ids=["fixed", "loop"],
)
def test_a_class_of_each_row_where_nothing_says_that_rows_are_examples(text: str) -> None:
    net, x = engine_net(text), random(2, 3)
    for seed, places in (({"index": 1}, [1, 1]), ({"index": [2, 0]}, [2, 0])):
        found = net.gradient(x, output_gradients={"y": seed})["x"]
        imposed = np.eye(3, dtype=np.float32)[places]
        np.testing.assert_array_equal(found, net.gradient(x, output_gradients={"y": imposed})["x"])


def stack(*shape: int, **others: Array) -> dict[str, Any]:
    return {"output_gradients": {"y": random(*shape), **others}, "stacked": True}


@pytest.mark.parametrize(
    ("seed", "stacked", "expected", "found"),
    [
        ({"index": [0, 1, 2]}, False, "an index, or a list of 2, one for each example",
         "shape (3)"),
        ({"index": 0}, True, "a list of K indices, or K times a list of 2, one for each example",
         "shape ()"),
        ({"at": [0, 0]}, False, "a list of 1 index", "shape (2)"),
        ({"at": [[0]] * 3}, False,
         "a list of 1 index, or 2 such lists, one for each example", "shape (3, 1)"),
        (np.ones((2, 4), np.float32), True, "(K, 2, 4)", "(2, 4)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lead", ["1", "N"])
def test_a_refusal_speaks_of_what_was_sent(
    lead: str, seed: Any, stacked: bool, expected: str, found: str
) -> None:
    imposed = {"y": seed}
    net, x = made("proven", lead), random(2, 3)
    error = refusal(lambda: net.gradient(x, output_gradients=imposed, stacked=stacked))
    assert (error.expected, error.found) == (expected, found)


@pytest.mark.parametrize(
    ("options", "code", "where"),
    [
        ({"output_gradients": {"y": {"index": 4}}}, "index_out_of_range", "output_gradients.y"),
        ({"output_gradients": {"y": {"index": -1}}}, "index_out_of_range", "output_gradients.y"),
        ({"output_gradients": {"y": {"at": [0, 0]}}}, "invalid_class_seed", "output_gradients.y"),
        ({"output_gradients": {"y": {"index": [1, 2, 3]}}}, "invalid_class_seed", None),
        ({"output_gradients": {"y": {"index": 1.5}}}, "invalid_class_seed", None),
        ({"output_gradients": {"y": {"index": [[1], [2, 3]]}}}, "invalid_class_seed", None),
        ({"output_gradients": {"y": {"index": "cat"}}}, "invalid_class_seed", None),
        ({"output_gradients": {"y": {"class": 1}}}, "invalid_class_seed", None),
        ({"output_gradients": {"y": {}}}, "invalid_class_seed", None),
        (stack(2, 4), "wrong_seed_shape", "output_gradients.y"),
        (stack(5, 3, 4), "wrong_seed_shape", None),
        (stack(5, 1, 4), "wrong_seed_shape", None),
        (stack(), "wrong_stack", "output_gradients.y"),
        ({"stacked": True}, "wrong_stack", "stacked"),
        (stack(5, 2, 4, z=random(4, 2, 4)) | {"of": ["y", "z"]}, "wrong_stack", None),
        ({"reduction": "median"}, "invalid_field", "reduction"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lead", ["1", "N"])
def test_what_does_not_fit_is_refused(
    lead: str, options: dict[str, Any], code: str, where: str | None
) -> None:
    error = refusal(lambda: made("proven", lead).gradient(random(2, 3), **options))
    assert error.code == code
    assert where is None or error.where == where
    assert error.expected
    assert error.remedy


@pytest.mark.parametrize(
    ("tangents", "code", "where"),
    [
        ({}, "missing_tangents", "tangents"),
        ([1.0], "invalid_field", "tangents"),
        ({"v": random(2, 3)}, "unknown_name", "tangents.v"),
        ({"x": random(3)}, "wrong_tangent_shape", "tangents.x"),
        ({"x": random(1, 3)}, "wrong_tangent_shape", "tangents.x"),
        ({"w": random(4, 3)}, "wrong_tangent_shape", "tangents.w"),
        ({"z": random(2, 5)}, "wrong_tangent_shape", "tangents.z"),
        ({"x": random(2, 3).astype(np.float64)}, "wrong_dtype", "tangents.x"),
    ],
)
@pytest.mark.parametrize("lead", ["1", "N"])
def test_tangents_that_do_not_fit_are_refused(
    lead: str, tangents: Any, code: str, where: str
) -> None:
    for call in ("jvp", "hvp"):
        error = refusal(
            lambda call=call: getattr(made("proven", lead), call)(random(2, 3), tangents=tangents)
        )
        assert (error.code, error.where) == (code, where)


def test_a_net_without_examples_has_no_gradients_by_example() -> None:
    net = engine_net("(float[2,3] x) => (float[2,3] y) { y = Tanh(x) }")
    for reduction in ("mean", "per_example"):
        error = refusal(lambda way=reduction: net.gradient(random(2, 3), reduction=way))
        assert error.code == "no_example_axis"


def test_of_a_mean_over_the_batch_there_is_no_gradient_by_example() -> None:
    body = (
        LAYER.format(lead="N").replace("(float[N,4] y)", "(float l)")[:-1]
        + "l = ReduceMean<keepdims = 0>(y) }"
    )
    net = engine_net(body, W)
    error = refusal(lambda: net.gradient(random(2, 3), wrt="w", reduction="per_example"))
    assert error.code == "no_example_axis"
    assert "before its mean" in str(error.remedy)
    of_each = net.gradient(random(2, 3), wrt="w", of="y", reduction="per_example")["w"]
    assert of_each.shape == (2, 3, 4)


def test_a_stack_of_nothing_may_not_be_endless() -> None:
    net, none = made("proven", "N"), np.zeros((0, 3), np.float32)
    seeds = {"y": np.zeros((2**40, 0, 4), np.float32)}
    error = refusal(lambda: net.gradient(none, output_gradients=seeds, stacked=True))
    assert (error.code, error.where) == ("wrong_stack", "output_gradients.y")


def test_class_seeds_that_stand_for_too_much_are_refused() -> None:
    net = made("proven", "N")
    x, seeds = np.zeros((10000, 3), np.float32), {"y": {"index": [0] * 10000}}
    error = refusal(lambda: net.gradient(x, output_gradients=seeds, wrt="b", stacked=True))
    assert (error.code, error.where) == ("answer_too_large", "output_gradients.y")


def test_a_parameter_that_is_read_only_where_examples_meet_has_zeros_for_each_example() -> None:
    text = "h = MatMul(x, w) m = MatMul(h, v) s = ReduceSum<keepdims = 0>(m, a)"
    weights = {"w": random(3, 4), "v": random(4, 2), "a": np.array([0])}
    net = engine_net(f"(float[N,3] x) => (float[2] s) {{ {text} }}", weights)
    found = net.gradient(random(5, 3), wrt=["v", "w"], of="h", reduction="per_example")
    assert found["v"].shape == (5, 4, 2)
    assert not found["v"].any()
    np.testing.assert_array_equal(found["w"][:, :, 0], random(5, 3))
