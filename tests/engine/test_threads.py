"""One net under many threads, the first call of each kind among them; a cache that they share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import portgrad
from portgrad.engine.cache import Cache
from portgrad.engine.plan import Plan
from support.engine import engine_net, net_bytes, random

BODY = "(float[1,8] x) => (float[1,4] y) { h = Gemm(x, w, b) y = Tanh(h) }"
WEIGHTS = {"w": random(8, 4), "b": random(4)}
# float32, the same kernels in another order of threads
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def test_many_threads_compile_once_and_get_their_own_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = []
    compile_ = Plan.compile
    monkeypatch.setattr(Plan, "compile", lambda *a, **b: compiled.append(a[0]) or compile_(*a, **b))
    net = engine_net(BODY, WEIGHTS)
    kinds = [{"wrt": "inputs"}, {"wrt": "all"}, {"wrt": ["h"], "outputs": True}, {"of": "h"}]
    data = [random(1 + k % 3, 8, seed=k) for k in range(48)]
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(net.gradient, x, **kinds[k % 4]) for k, x in enumerate(data)]
        answers = [future.result(60) for future in asked]
    assert len(compiled) == len(set(compiled)) * 2  # each plan as it is, and over a batch
    alone = engine_net(BODY, WEIGHTS)
    for k, (x, found) in enumerate(zip(data, answers, strict=True)):
        expected = alone.gradient(x, **kinds[k % 4])
        assert list(found) == list(expected)
        for name, gradient in expected.items():
            np.testing.assert_allclose(found[name], gradient, **CLOSE)


def test_sessions_of_several_nets_share_one_bounded_cache() -> None:
    cache: Cache[object, object] = Cache(3)
    nets = [
        portgrad.load(net_bytes(BODY, {**WEIGHTS, "b": random(4, seed=s)}), sessions=cache)  # type: ignore[arg-type]
        for s in range(4)
    ]
    x = random(1, 8)
    first = [net.evaluate(x)["y"] for net in nets]
    assert len(cache) == 3
    for net, expected in zip(nets, first, strict=True):
        np.testing.assert_array_equal(net.evaluate(x)["y"], expected)
