"""A batch over a fixed 1 gives what its examples give one by one, however it is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.engine import executor
from support.engine import Array, engine_net, random

COUNT = 4
# float32: sums over the batch in another order.
CLOSE = {"rtol": 2e-5, "atol": 2e-5}

# Each net with the values inside that are worth asking for; one of them needs a run per example.
NETS: dict[str, tuple[str, dict[str, Array], list[str], bool]] = {
    "layers": (
        "(float[1,3] x) => (float[1,2] y) { h = Gemm(x, w, b) a = Tanh(h) y = MatMul(a, v) }",
        {"w": random(3, 4, seed=1), "b": random(4, seed=2), "v": random(4, 2, seed=3)},
        ["h", "a"],
        True,
    ),
    "convolution": (
        """(float[1,2,4,4] x) => (float[1,3] y) { c = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(c)
             p = GlobalAveragePool(r) y = Flatten(p) }""",
        {"w": random(3, 2, 3, 3, seed=1), "b": random(3, seed=2)},
        ["c", "p"],
        True,
    ),
    "stacked output": (
        """(float[1,3] x) => (float[3] y, float[1,3] z) { z = Mul(x, w) e = Exp(z)
             a = Constant<value_ints=[0]>() y = Squeeze(e, a) }""",
        {"w": random(3, seed=1)},
        ["e"],
        False,
    ),
    "batch on another axis": (
        """(float[1,3] x) => (float[3,1] y) { t = Transpose<perm=[1,0]>(x) s = Sin(t)
             y = Mul(s, t) }""",
        {},
        ["t", "s"],
        True,
    ),
    "a value that all examples share": (
        "(float[1,3] x) => (float[1,3] y) { k = Exp(w) h = Mul(x, k) y = Mul(h, h) }",
        {"w": random(3, seed=1)},
        ["k", "h"],
        True,
    ),
    "an output that all examples share": (
        "(float[1,3] x) => (float[1,3] y, float[3] k) { k = Exp(w) y = Mul(x, k) }",
        {"w": random(3, seed=1)},
        [],
        False,
    ),
    "a scalar": (
        "(float[1,3] x) => (float s) { h = Mul(x, w) g = Mul(h, h) s = ReduceSum<keepdims=0>(g) }",
        {"w": random(3, seed=1)},
        ["h"],
        False,
    ),
    "examples that would meet": (
        """(float[1,3] x) => (float[1,3] y) { m = ReduceMean<keepdims=1>(x) d = Sub(x, m)
             y = Mul(d, w) }""",
        {"w": random(3, seed=1)},
        ["m", "d"],
        False,
    ),
}
SHARED = (
    "(float[1,3] x, float[3] s) => (float[1,3] y) { h = Mul(x, s) t = Tanh(h) y = Mul(t, w) }",
    {"w": random(3, seed=1)},
    ["t"],
    True,
)
NETS["a shared port"] = SHARED


def _data(net: portgrad.Net, count: int) -> dict[str, Array]:
    ports = net.description.inputs
    data = {}
    for seed, port in enumerate(ports):
        assert port.shape is not None
        shape = tuple(int(d or 0) for d in port.shape)
        data[port.name] = random(*((count, *shape[1:]) if shape[0] == 1 else shape), seed=20 + seed)
    return data


def _single(data: Mapping[str, Array], index: int, count: int) -> dict[str, Array]:
    return {n: a[index : index + 1] if len(a) == count else a for n, a in data.items()}


@pytest.mark.parametrize("seeded", [False, True], ids=["ones", "seeds"])
@pytest.mark.parametrize("name", NETS)
def test_a_batch_is_its_examples(name: str, seeded: bool) -> None:
    body, weights, inner, _ = NETS[name]
    net = engine_net(body, weights)
    data = _data(net, COUNT)
    outputs = [port.name for port in net.description.outputs]
    singles = [_single(data, i, COUNT) for i in range(COUNT)]
    seeds: dict[str, Array] = {}
    parts: list[dict[str, Array]] = [{} for _ in singles]
    if seeded:
        for k, output in enumerate(outputs):
            one = net.evaluate(singles[0])[output]
            each = [random(*one.shape, seed=100 + 10 * i + k) for i in range(COUNT)]
            seeds[output] = _joined(each)
            parts = [{**part, output: seed} for part, seed in zip(parts, each, strict=True)]
    wrt = [*data, *weights, *inner]
    values, found = net.value_and_gradient(
        data, wrt=wrt, output_gradients=seeds, outputs=[*outputs, *inner]
    )
    alone = [
        net.value_and_gradient(
            single, wrt=wrt, output_gradients=part, outputs=[*outputs, *inner], batch="as_is"
        )
        for single, part in zip(singles, parts, strict=True)
    ]
    for value in (*outputs, *inner):
        np.testing.assert_allclose(values[value], _joined([v[value] for v, _ in alone]), **CLOSE)
    for target in wrt:
        each = [gradients[target] for _, gradients in alone]
        shared = target in weights or (target in data and len(data[target]) != COUNT)
        expected = np.sum(each, axis=0) if shared else _joined(each)
        assert found[target].dtype == np.float32
        np.testing.assert_allclose(found[target], expected, err_msg=target, **CLOSE)


def _joined(each: list[Array]) -> Array:
    leads = each[0].ndim and each[0].shape[0] == 1
    return np.concatenate(each) if leads else np.stack(each)


@pytest.mark.parametrize("name", NETS)
def test_which_nets_run_as_one_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient by inputs and parameters takes one run where the structure allows it."""
    body, weights, _, together = NETS[name]
    net = engine_net(body, weights)
    runs = []
    run = executor.Executor.run
    monkeypatch.setattr(executor.Executor, "run", lambda *a: runs.append(1) or run(*a))
    net.gradient(_data(net, COUNT), wrt="all")
    assert len(runs) == (1 if together else COUNT)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seeded", [False, True], ids=["ones", "seeds"])
def test_no_examples_give_empty_arrays_and_zeros(name: str, seeded: bool) -> None:
    body, weights, inner, _ = NETS[name]
    net = engine_net(body, weights)
    data, few = _data(net, 0), _data(net, 2)
    outputs = [port.name for port in net.description.outputs]
    wrt = [*data, *weights, *inner]
    like, two = net.value_and_gradient(few, wrt=wrt, outputs=[*outputs, *inner])
    seeds = {output: like[output][:0] for output in outputs} if seeded else {}
    values, found = net.value_and_gradient(
        data, wrt=wrt, output_gradients=seeds, outputs=[*outputs, *inner]
    )
    for value in (*outputs, *inner):
        assert values[value].shape == (0, *like[value].shape[1:])
    for target in wrt:
        shared = target in weights or (target in data and len(data[target]) != 0)
        expected = np.zeros_like(two[target]) if shared else two[target][:0]
        np.testing.assert_array_equal(found[target], expected)
        assert found[target].dtype == expected.dtype


@pytest.mark.parametrize("seed", [random(3, 3), random(2), random(COUNT, 1, 3), random(5, 3)])
@pytest.mark.parametrize("name", ["a value that all examples share", "examples that would meet"])
def test_a_seed_that_does_not_fit_the_batch_is_refused(name: str, seed: Array) -> None:
    net = engine_net(*NETS[name][:2])
    with pytest.raises(portgrad.errors.InvalidRequest) as caught:
        net.gradient(random(COUNT, 3), output_gradients={"y": seed})
    assert caught.value.code == "wrong_seed_shape"
    assert str(caught.value.expected).startswith("(4, 3)")


@pytest.mark.parametrize("seed", [2.0, random(3), random(1, 3), random(COUNT, 1)])
@pytest.mark.parametrize("name", ["a value that all examples share", "examples that would meet"])
def test_a_seed_broadcasts_over_the_batch(name: str, seed: Any) -> None:
    net = engine_net(*NETS[name][:2])
    x = random(COUNT, 3)
    whole = np.broadcast_to(np.asarray(seed, np.float32), (COUNT, 3))
    np.testing.assert_array_equal(
        net.gradient(x, output_gradients={"y": seed})["x"],
        net.gradient(x, output_gradients={"y": whole})["x"],
    )
