"""The numbers that seeded nets draw: the published generator, their moments, their independence.

Seeds are fixed, so that nothing here is left to chance; each bound is one that a good generator
passes for all but about one seed in ten thousand.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from portgrad.autodiff.randomness import generator
from support.seeded_nets import run, trained

MANY = 40_000
SIGMAS = 4.0  # deviations of the mean of MANY draws, or of their correlation


def test_the_mix_is_the_published_one() -> None:
    """The first numbers of SplitMix64 from 1234567, as many implementations have them."""
    found = [generator.split(1234567, index) for index in range(5)]
    assert found == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def _expected(seed: int, count: int) -> list[int]:
    """The 64 bits of the first node of a net, by the generator in numbers."""
    whole = 2**64
    root = generator.mix((seed + generator.GAMMA) % whole)
    key = generator.mix((root + generator.split(0, 0)) % whole)
    return [generator.mix((key + index * generator.GAMMA) % whole) for index in range(count)]


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_operators_compute_what_numbers_do(seed: int) -> None:
    net = trained("() => (double y) { y = RandomUniform<shape = [5], dtype = 11>() }")
    [found] = run(net, {}, seed)
    assert found.tolist() == [(bits // 2**12 + 0.5) / 2**52 for bits in _expected(seed, 5)]


def test_two_elements_share_a_number() -> None:
    net = trained("() => (float y) { y = RandomUniform<shape = [5]>() }")
    [found] = run(net, {}, 7)
    bits = _expected(7, 3)
    halves = [*(b // 2**32 for b in bits), *(b % 2**32 for b in bits)]
    assert found.tolist() == [(half // 2**9 + 0.5) / 2**23 for half in halves[:5]]


@functools.cache
def _drawn(body: str, seed: int = 1, dtype: str = "float") -> np.ndarray:
    net = trained(f"(float[n] x) => ({dtype} y) {{ {body} }}")
    feeds = {"x": np.full(MANY, 0.3, np.float32)}
    [y] = run(net, feeds if any(v.name == "x" for v in net.graph.inputs) else {}, seed)
    return y


UNIFORM, NORMAL = "y = RandomUniformLike(x)", "y = RandomNormalLike(x)"
DOUBLE = "y = RandomNormalLike<dtype = 11>(x)"
MOMENTS = [
    (UNIFORM, "float", [1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    ("y = RandomUniformLike<dtype = 11>(x)", "double", [1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    ("y = RandomUniformLike<low = -1.0, high = 3.0>(x)", "float", [1, 7 / 3]),
    (f"y = RandomUniform<shape = [{MANY}], low = -1.0>()", "float", [0, 1 / 3, 0, 1 / 5]),
    (NORMAL, "float", [0, 1, 0, 3]),
    (DOUBLE, "double", [0, 1, 0, 3]),
    ("y = RandomNormalLike<dtype = 10>(x)", "float16", [0, 1, 0, 3]),
    (f"y = RandomNormal<shape = [{MANY}], mean = 2.0, scale = 3.0>()", "float", [2, 13]),
    ("y = Bernoulli(x)", "float", [0.3]),
    ("y = Bernoulli<dtype = 9>(x)", "bool", [0.3]),
    ("d = Cast<to = 11>(x) y = Bernoulli(d)", "double", [0.3]),
    ("z = Sub(x, x) o = Exp(z) y = Bernoulli(o)", "float", [1]),
    ("z = Sub(x, x) y = Bernoulli(z)", "float", [0]),
    ("o = Div(x, x) y = Dropout(o)", "float", [1, 2]),
]


@pytest.mark.parametrize(("body", "dtype", "moments"), MOMENTS, ids=[body for body, *_ in MOMENTS])
def test_moments(body: str, dtype: str, moments: list[float]) -> None:
    y = _drawn(body, dtype=dtype).astype(np.float64)
    for power, moment in enumerate(moments, 1):
        powers = y**power
        assert abs(powers.mean() - moment) <= SIGMAS * powers.std() / math.sqrt(MANY), power


@pytest.mark.parametrize("body", [UNIFORM, NORMAL, DOUBLE])
def test_distribution(body: str) -> None:
    """By Kolmogorov and Smirnov: the largest distance of the distribution functions."""
    dtype = "double" if body == DOUBLE else "float"
    y = np.sort(_drawn(body, dtype=dtype).astype(np.float64))
    if body != UNIFORM:
        y = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in y])
    distance = np.abs(y - (np.arange(MANY) + 0.5) / MANY).max()
    assert distance * math.sqrt(MANY) < 2.2  # the largest of one draw in ten thousand


def test_uniform_numbers_never_reach_their_bounds() -> None:
    y = run(trained("() => (float y) { y = RandomUniform<shape = [1000000]>() }"), {})[0]
    assert 0 < y.min() < 1e-5
    assert 1 - 1e-5 < y.max() < 1


LOOPED = """
    n = Constant<value = int64 {8}>()
    go = Constant<value = bool {1}>()
    y = Loop(n, go) <body = step (int64 i, bool c) => (bool d, float[n] k) {
        k = RandomNormalLike(x)
        d = Identity(c)
    }>
"""
NESTED = """
    n = Constant<value = int64 {3}>()
    go = Constant<value = bool {1}>()
    all = Loop(n, go) <body = outer (int64 i, bool c) => (bool d, float[t, n] k) {
        k = Loop(n, go) <body = inner (int64 j, bool e) => (bool f, float[n] l) {
            l = RandomNormalLike(x)
            f = Identity(e)
        }>
        d = Identity(c)
    }>
    rows = Constant<value = int64[2] {9, -1}>()
    y = Reshape(all, rows)
"""
SCANNED = """
    axes = Constant<value = int64[1] {0}>()
    one = Unsqueeze(x, axes)
    many = Concat<axis = 0>(one, one, one, one, one)
    y = Scan(many) <num_scan_inputs = 1, body = each (float[n] row) => (float[n] k) {
        k = RandomNormalLike(row)
    }>
"""
NODES = """
    a = RandomNormalLike(x) b = RandomNormalLike(x) c = RandomNormalLike<seed = 1.0>(x)
    d = RandomNormalLike<seed = 1.0>(x)
    z = Constant<value = int64[1] {0}>()
    e = Unsqueeze(a, z) f = Unsqueeze(b, z) g = Unsqueeze(c, z) h = Unsqueeze(d, z)
    y = Concat<axis = 0>(e, f, g, h)
"""


def _by_seed() -> np.ndarray:
    return np.stack([_drawn(NORMAL, seed) for seed in (0, 1, 2, 3, 2**32, 2**62, 2**63 - 1)])


def _by_place(body: str) -> np.ndarray:
    y = _drawn(body)
    return np.stack([np.roll(y, lag) for lag in (0, 1, 2, 3, 64, 256, MANY // 2)])


def _by_example() -> np.ndarray:
    return np.stack([_drawn(NORMAL, generator.seed_of_example(9, place)) for place in range(6)])


STREAMS = {
    "nodes": lambda: _drawn(NODES),
    "iterations": lambda: _drawn(LOOPED),
    "nested iterations": lambda: _drawn(NESTED),
    "steps of a scan": lambda: _drawn(SCANNED),
    "seeds": _by_seed,
    "places": lambda: _by_place(NORMAL),
    "places of uniform numbers": lambda: _by_place(UNIFORM),
    "examples": _by_example,
}


@pytest.mark.parametrize("which", STREAMS)
def test_draws_have_nothing_to_do_with_each_other(which: str) -> None:
    """Neither have the numbers, their squares, nor whether two of them are large at once."""
    streams = STREAMS[which]()
    assert streams.shape[1] == MANY
    count = len(streams)
    assert count >= 4
    for values in (streams, streams.astype(np.float64) ** 2, np.abs(streams) > 0.7):
        found = np.corrcoef(values) - np.eye(count)
        assert np.abs(found).max() < SIGMAS / math.sqrt(MANY)


def test_multinomial_frequencies() -> None:
    chances = np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0, 0.75, 0], [0, 0, 0, 1]])
    with np.errstate(divide="ignore"):
        # Logarithms, of chances that need not add up to 1.
        x = np.add(np.log(chances), [[3.0], [-50.0], [0.0]]).astype(np.float32)
    body = f"y = Multinomial<sample_size = {MANY}>(x)"
    net = trained(f"(float[b, c] x) => (int32 y) {{ {body} }}")
    [y] = run(net, {"x": x})
    assert (y.dtype, y.shape) == ("int32", (3, MANY))
    found = np.stack([np.bincount(row, minlength=4) for row in y]) / MANY
    np.testing.assert_array_equal(found == 0, chances == 0)
    deviations = np.sqrt(chances * (1 - chances) / MANY)
    assert np.all(np.abs(found - chances) <= SIGMAS * deviations)
