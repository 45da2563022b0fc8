"""N = 0 is valid, in a symbolic dimension too, whatever the runtime's kernels make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support.engine import Array, engine_net, random, refusal

GATES = {"w": random(1, 12, 3), "r": random(1, 12, 3, seed=1)}
NETS: dict[str, tuple[str, dict[str, Array]]] = {
    "layers": (
        "(float[N,3] x) => (float[N,2] y) { h = MatMul(x, w) y = Tanh(h) }",
        {"w": random(3, 2)},
    ),
    "the batch leaves the front": (
        """(float[N,3] x) => (float[2,N] y) { h = MatMul(x, w)
             t = Transpose<perm = [1, 0]>(h) y = Tanh(t) }""",
        {"w": random(3, 2)},
    ),
    "a mean over another axis": (
        "(float[N,3] x) => (float[N,1] y) { y = ReduceMean<keepdims = 1>(x, one) }",
        {"one": np.array([1], np.int64)},
    ),
    "a reshape that the runtime refuses": (
        "(float[N,2,3] x) => (float[N,6] y) { h = Reshape(x, s) y = Relu(h) }",
        {"s": np.array([-1, 6], np.int64)},
    ),
    "strings and integers beside": (
        """(float[N,3] x, int64[N] i, string[N] t) => (float[N,3] y, string[N] u) {
             g = Gather(w, i) y = Mul(x, g) u = Identity(t) }""",
        {"w": random(5, 3)},
    ),
    "a shared port": (
        "(float[N,3] x, float[3] s) => (float[N,3] y) { y = Mul(x, s) }",
        {},
    ),
}


def _data(net: Any, count: int) -> dict[str, Array]:
    makers = {
        "int64": lambda *s: np.ones(s, np.int64),
        "string": lambda *s: np.full(s, "a", object),
    }
    return {
        port.name: makers.get(port.dtype, random)(
            *(count if size == "N" else size for size in port.shape)
        )
        for port in net.description.inputs
    }


@pytest.mark.parametrize("seeded", [False, True], ids=["ones", "seeds"])
@pytest.mark.parametrize("name", NETS)
def test_no_examples_of_a_symbolic_batch(name: str, seeded: bool) -> None:
    net = engine_net(*NETS[name])
    none = _data(net, 0)
    like, some = net.value_and_gradient(_data(net, 7), wrt="all")
    empty = {n: a[tuple(slice(0 if s == 7 else None) for s in a.shape)] for n, a in like.items()}
    seeds = {n: a for n, a in empty.items() if a.dtype == np.float32} if seeded else {}
    values, found = net.value_and_gradient(none, wrt="all", output_gradients=seeds)
    for output, array in empty.items():
        assert values[output].shape == array.shape
        assert values[output].dtype == array.dtype
    for target in some:
        np.testing.assert_array_equal(found[target], np.zeros_like(none.get(target, some[target])))


@pytest.mark.parametrize("operator", ["GRU", "LSTM", "RNN"])
def test_recurrent_nets_take_no_examples(operator: str) -> None:
    """The runtime's kernels end the process on empty arrays."""
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[operator]
    weights = {"w": random(1, 3 * gates, 2), "r": random(1, 3 * gates, 3, seed=1)}
    net = engine_net(
        f"(float[T,N,2] x) => (float[T,1,N,3] y) {{ y = {operator}<hidden_size = 3>(x, w, r) }}",
        weights,
    )
    assert net.evaluate(random(4, 2, 2))["y"].shape == (4, 1, 2, 3)
    # N does not lead the port, so only the runtime could tell: a clear error instead of its end.
    error = refusal(lambda: net.evaluate(np.zeros((4, 0, 2), np.float32)))
    assert error.code == "empty_array"
    led = engine_net(
        f"""(float[N,T,2] x) => (float[N,T,3] y) {{
          t = Transpose<perm = [1, 0, 2]>(x)
          h = {operator}<hidden_size = 3>(t, w, r)
          a = Constant<value_ints = [1]>()  s = Squeeze(h, a)
          y = Transpose<perm = [1, 0, 2]>(s) }}""",
        weights,
    )
    assert led.evaluate(np.zeros((0, 4, 2), np.float32))["y"].shape == (0, 4, 3)


def test_an_empty_dimension_that_is_no_batch_runs_as_it_is() -> None:
    net = engine_net(
        "(float[N,T] x) => (float[N] y) { y = ReduceSum<keepdims = 0>(x, one) }",
        {"one": np.array([1], np.int64)},
    )
    outputs, found = net.value_and_gradient(np.zeros((2, 0), np.float32))
    np.testing.assert_array_equal(outputs["y"], [0, 0])
    assert found["x"].shape == (2, 0)


def test_a_total_over_no_examples_is_what_the_net_makes_of_it() -> None:
    net = engine_net("(float[N,2] x) => (float s) { s = ReduceSum<keepdims = 0>(x) }")
    outputs, found = net.value_and_gradient(np.zeros((0, 2), np.float32))
    assert outputs["s"] == 0
    assert found["x"].shape == (0, 2)


@pytest.mark.parametrize(
    ("body", "empty"),
    [
        (
            '(float[T,N,2] x) => (float[T,N] y) { y = Einsum<equation = "...i->..."> (x) }',
            (4, 0, 2),
        ),
        (
            """(float[1,2,D,2,2] x) => (float[1,1,E,2,2] y) {
              w = Constant<value = float[2,1,1,1,1] {1, 2}>()  y = ConvTranspose(x, w) }""",
            (1, 2, 0, 2, 2),
        ),
    ],
)
def test_kernels_that_end_the_process_never_see_an_empty_array(
    body: str, empty: tuple[int, ...]
) -> None:
    net = engine_net(body)
    net.evaluate(np.ones(tuple(size or 3 for size in empty), np.float32))
    assert refusal(lambda: net.evaluate(np.zeros(empty, np.float32))).code == "empty_array"
