"""How a request's arrays are read against the declared shapes: DESIGN's readings 1 to 4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from portgrad.engine.batches import EACH, read
from support.engine import Array, counted, engine_net, random, refusal

Ports = Mapping[str, tuple[int | str | None, ...] | None]


def _read(ports: Ports, shapes: Mapping[str, tuple[int, ...]], forced: str | None = None) -> Any:
    return read(ports, {name: np.zeros(shape) for name, shape in shapes.items()}, forced)


@pytest.mark.parametrize(
    ("ports", "shapes", "kind", "count"),
    [
        ({"x": ("N", 3)}, {"x": (5, 3)}, "as_is", 1),
        ({"x": ("N", 3)}, {"x": (0, 3)}, "as_is", 1),
        ({"x": ("N", 3)}, {"x": (3,)}, "example", 1),
        ({"x": (None, 3)}, {"x": (3,)}, "example", 1),
        ({"x": ("N",)}, {"x": ()}, "example", 1),
        ({"x": (1, 3)}, {"x": (1, 3)}, "as_is", 1),
        ({"x": (1, 3)}, {"x": (3,)}, "example", 1),
        ({"x": (1, 3)}, {"x": (5, 3)}, "each", 5),
        ({"x": (1, 3)}, {"x": (0, 3)}, "each", 0),
        ({"x": (1, "T")}, {"x": (5, 7)}, "each", 5),
        ({"x": None}, {"x": (5, 7)}, "as_is", 1),
        ({"x": ()}, {"x": ()}, "as_is", 1),
        # the same symbol has the same size everywhere
        ({"x": ("N", 3), "y": ("N",)}, {"x": (5, 3), "y": (5,)}, "as_is", 1),
        ({"x": ("N", 3), "y": ("N",)}, {"x": (3,), "y": ()}, "example", 1),
        ({"x": ("N", 3), "y": ("M", 2)}, {"x": (3,), "y": (2,)}, "example", 1),
        # ports that fit exactly are shared
        ({"x": (1, 3), "s": (3,)}, {"x": (5, 3), "s": (3,)}, "each", 5),
        ({"x": (1, 3), "s": (1, 3)}, {"x": (5, 3), "s": (1, 3)}, "each", 5),
        ({"x": (1, 3), "s": ("T",)}, {"x": (3,), "s": ()}, "example", 1),
        ({"x": (1, 3), "s": (3,)}, {"x": (3,), "s": (3,)}, "example", 1),
    ],
)
def test_shapes_alone_decide(
    ports: Ports, shapes: Mapping[str, tuple[int, ...]], kind: str, count: int
) -> None:
    reading = _read(ports, shapes)
    assert (reading.kind, reading.count) == (kind, count)


@pytest.mark.parametrize(
    ("ports", "shapes", "forced"),
    [
        ({"x": ("N", 3)}, {"x": (5, 4)}, None),
        ({"x": ("N", 3)}, {"x": (2, 5, 3)}, None),
        ({"x": (2, 3)}, {"x": (3,)}, None),
        ({"x": (2, 3)}, {"x": (4, 3)}, None),
        ({"x": ("N", 3), "y": ("N",)}, {"x": (5, 3), "y": (4,)}, None),
        ({"x": ("N", 3), "y": ("N",)}, {"x": (3,), "y": (1,)}, None),
        ({"x": (1, "T"), "y": (1, "T")}, {"x": (5, 7), "y": (5, 6)}, None),
        ({"x": (1, 3), "y": (1, 3)}, {"x": (5, 3), "y": (4, 3)}, None),
        ({"x": (1, 3)}, {"x": (3,)}, "as_is"),
        ({"x": (1, 3)}, {"x": (1, 3)}, "example"),
        ({"x": (1, 3)}, {"x": (3,)}, "each"),
        ({"x": ("N", 3)}, {"x": (5, 4)}, "each"),
        ({"x": (2, 3)}, {"x": (2, 3)}, "example"),
    ],
)
def test_anything_else_is_an_error_with_both_shapes(
    ports: Ports, shapes: Mapping[str, tuple[int, ...]], forced: str | None
) -> None:
    error = refusal(lambda: _read(ports, shapes, forced))
    assert error.code == "wrong_shape"
    assert error.where in ports
    assert str(error.where) in str(error.expected)
    assert "(" in str(error.expected)
    assert "(" in str(error.found)


def test_a_forced_reading_is_taken_where_the_shapes_would_choose_another() -> None:
    net = engine_net(
        "(float[1,3] x) => (float[3] y) { a = Constant<value_ints = [0]>() y = Squeeze(x, a) }"
    )
    one = counted(1, 3)
    assert net.evaluate(one)["y"].shape == (3,)
    assert net.evaluate(one, batch="each")["y"].shape == (1, 3)
    assert _read({"x": (1, 3)}, {"x": (1, 3)}, EACH).count == 1


BODY = "{ h = MatMul(x, w) b = Relu(h) y = Mul(b, b) }"
W = {"w": counted(3, 2)}


@pytest.mark.parametrize(
    ("lead", "data", "shape"),
    [
        ("N", counted(4, 3), (4, 2)),
        ("N", counted(3), (2,)),
        ("1", counted(1, 3), (1, 2)),
        ("1", counted(3), (2,)),
        ("1", counted(4, 3), (4, 2)),
        ("?", counted(3), (2,)),
    ],
)
def test_gradients_outputs_and_seeds_have_the_data_s_own_leading_axis(
    lead: str, data: Array, shape: tuple[int, ...]
) -> None:
    x = "float[N,3]" if lead == "N" else f"float[{lead},3]"
    y = x.replace("3", "2")
    net = engine_net(f"({x} x) => ({y} y) {BODY}", W)
    seed = counted(*shape)
    outputs, found = net.value_and_gradient(
        data, wrt=["x", "h", "w"], output_gradients={"y": seed}, outputs=["y", "b"]
    )
    h = data @ W["w"]
    inner = 2 * seed * h
    np.testing.assert_array_equal(outputs["y"], h * h)
    np.testing.assert_array_equal(outputs["b"], h)
    np.testing.assert_array_equal(found["h"], inner)
    np.testing.assert_array_equal(found["x"], inner @ W["w"].T)
    np.testing.assert_array_equal(found["w"], np.atleast_2d(data).T @ np.atleast_2d(inner))


def test_examples_of_several_ports_with_symbols_of_their_own() -> None:
    net = engine_net(
        "(float[N,3] x, float[M,3] z) => (float[K,3] y) { y = Concat<axis = 0>(x, z) }"
    )
    found = net.gradient({"x": counted(3), "z": counted(3)}, output_gradients={"y": counted(2, 3)})
    np.testing.assert_array_equal(found["x"], [1, 2, 3])
    np.testing.assert_array_equal(found["z"], [4, 5, 6])


def test_shared_ports_are_totalled_like_parameters() -> None:
    net = engine_net(
        "(float[1,3] x, float[3] s, float[1,3] t) => (float[1,3] y) { h = Mul(x, s) y = Mul(h, t) }"
    )
    x, s, t = counted(5, 3), counted(3), 2 * counted(1, 3)
    found = net.gradient({"x": x, "s": s, "t": t})
    np.testing.assert_array_equal(found["x"], np.tile(s * t, (5, 1)))
    np.testing.assert_array_equal(found["s"], (x * t).sum(0))
    np.testing.assert_array_equal(found["t"], (x * s).sum(0, keepdims=True))


def test_uneven_examples_are_an_error_that_names_the_output() -> None:
    net = engine_net("(float[1,4] x) => (int64[A,B] y) { y = NonZero(x) }")
    error = refusal(lambda: net.evaluate([[1.0, 0, 0, 1], [1, 1, 1, 1]]))
    assert (error.code, error.where) == ("uneven_examples", "y")
    assert "(2, 2)" in str(error.found)


def test_examples_on_a_leading_symbol_are_taken_one_by_one_where_that_is_forced() -> None:
    reading = _read({"x": ("N", 3), "s": (3,)}, {"x": (5, 3), "s": (3,)}, EACH)
    assert (reading.kind, reading.count, reading.batched) == (EACH, 5, {"x"})
    assert reading.sizes == {"N": 1}


@pytest.mark.parametrize("count", [2, 4])
def test_what_is_imposed_at_a_value_of_no_known_rank_is_for_all_or_for_each(count: int) -> None:
    """By its rank, whatever sizes happen to be equal."""
    net = engine_net(
        """(float[1,4] x, int64[k] s) => (float[] y) {
        q = Reshape(x, s) t = Mul(q, q) y = ReduceSumSquare<keepdims = 0>(t) }"""
    )
    x = random(count, 4)
    data = {"x": x, "s": np.asarray([4])}
    for_all, for_each = random(4, seed=1), random(count, 4, seed=2)
    for seed in (for_all, for_each, for_each[:, :1]):
        found = net.gradient(data, of="t", output_gradients={"t": seed})
        np.testing.assert_allclose(found["x"], 2 * x * seed, rtol=1e-5)
    found = net.gradient(data, of="t", output_gradients={"t": for_each[None]}, stacked=True)
    np.testing.assert_allclose(found["x"][0], 2 * x * for_each, rtol=1e-5)
