"""Seeded nets: what draws in which mode, the same draws wherever a body runs again, gradients."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.autodiff.randomness import (
    RANDOM_SEED,
    draws,
    seed_of_example,
    seed_port,
    seeded,
)
from portgrad.errors import Unsupported
from portgrad.graph.batching import batched
from support.double import in_double, runner
from support.rig import Case, check_adjoint, second_order
from support.seeded_nets import Arrays, loaded, run, seed_feed, trained

X = np.array([0.3, -0.7, 1.1])
W = np.array([[0.5, -0.2, 0.1], [0.3, 0.4, -0.6], [-0.1, 0.2, 0.7]])
MANY = np.arange(12.0).reshape(4, 3) / 7.0 - 0.6

# -- which nodes draw, by mode ---------------------------------------------------------------------

IN_TEST, IN_TRAIN = "test", "train"
DRAWING = [
    ("(float[3] x) => (float y) { y = Dropout(x) }", {IN_TRAIN}),
    ("(float[3] x) => (float y) <float r = {0}> { y = Dropout(x, r) }", set()),
    ("(float[3] x, float r) => (float y) { y = Dropout(x, r) }", {IN_TRAIN}),
    ("(float[3] x) => (float y) <bool t = {0}> { y = Dropout(x, , t) }", {IN_TRAIN}),
    ("(float[3] x) => (float y) <bool t = {1}> { y = Dropout(x, , t) }", {IN_TEST, IN_TRAIN}),
    ("(float[3] x, bool t) => (float y) { y = Dropout(x, , t) }", {IN_TEST, IN_TRAIN}),
    ("(float[3] x) => (float y) { y = RandomNormalLike(x) }", {IN_TEST, IN_TRAIN}),
    ("(float[3] x) => (float y) { y = Bernoulli(x) }", {IN_TEST, IN_TRAIN}),
    (
        "(float[3] x, bool c) => (float y) { y = If(c) <"
        " then_branch = a () => (float[3] p) { p = Sin(x) },"
        " else_branch = b () => (float[3] q) { q = Dropout(x) }> }",
        {IN_TRAIN},
    ),
    ("(float[3] x) => (float y) { y = Sin(x) }", set()),
]


@pytest.mark.parametrize(("net", "modes"), DRAWING, ids=[net for net, _ in DRAWING])
def test_what_draws_has_a_seed(net: str, modes: set[str]) -> None:
    model = loaded(net)
    for mode in (IN_TEST, IN_TRAIN):
        found = seeded(model, train=mode == IN_TRAIN)
        assert draws(model, train=mode == IN_TRAIN) == (mode in modes)
        assert (seed_port(found.graph) is not None) == (mode in modes)
        assert (RANDOM_SEED in found.meta) == (mode in modes)
        assert not draws(found, train=True) or mode not in modes


def test_the_net_itself_stays_and_keeps_its_names() -> None:
    text = "(float[3] random_seed) => (float y) { a = Dropout(random_seed) y = Sin(a) }"
    model = loaded(text)
    found = seeded(model, train=True)
    assert [node.op_type for node in model.graph] == ["Dropout", "Sin"]
    assert [value.name for value in found.graph.inputs] == ["random_seed", "random_seed_1"]
    assert found.meta[RANDOM_SEED] == "random_seed_1"
    assert {"a", "y"} <= {value.name for node in found.graph for value in node.outputs}


@pytest.mark.parametrize("opset", [7, 10, 12, 13, 22])
def test_dropout_of_each_opset_drops_at_its_ratio(opset: int) -> None:
    body = "y = Dropout<ratio = 0.25>(x)" if opset < 12 else "y = Dropout(x, r)"
    weight = "" if opset < 12 else "<float r = {0.25}>"
    net = trained(f"(float[9, 999] x) => (float y) {weight} {{ {body} }}", opset)
    [y] = run(net, {"x": np.ones((9, 999), np.float32)})
    assert set(np.unique(y)) == {np.float32(0), np.float32(4 / 3)}
    assert abs(np.mean(y == 0) - 0.25) < 0.02  # 4 deviations of 9000 draws


def test_the_data_decide_where_the_file_lets_them() -> None:
    net = trained("(float[99] x, float r, bool t) => (float y, bool m) { y, m = Dropout(x, r, t) }")
    x = np.linspace(1, 2, 99, dtype=np.float32)
    for ratio, training in ((0.5, False), (0.0, True)):
        feeds = {"x": x, "r": np.array(ratio, np.float32), "t": np.array(training)}
        y, mask = run(net, feeds)
        np.testing.assert_array_equal(y, x)
        assert mask.all()
    y, mask = run(net, {"x": x, "r": np.array(1, np.float32), "t": np.array(True)})
    assert not y.any()
    assert not mask.any()


def test_the_mask_is_that_of_the_result() -> None:
    net = trained("(double[9, 99] x, double r) => (double y, bool m) { y, m = Dropout(x, r) }")
    y, mask = run(net, {"x": np.ones((9, 99)), "r": np.array(0.2)})
    np.testing.assert_array_equal(y, mask / (1 - 0.2))
    assert 0 < np.count_nonzero(mask) < mask.size


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (3, 5)], ids=str)
def test_any_shape(shape: tuple[int, ...]) -> None:
    net = trained(
        f"(double{list(shape) or ''} x) => (double a, double b, float c, double d) {{"
        " a = RandomNormalLike(x) b = RandomUniformLike(x) c = RandomUniformLike<dtype = 1>(x)"
        " d = Dropout(x) }"
    )
    assert {y.shape for y in run(net, {"x": np.ones(shape)})} == {shape}


# -- the same draws, other draws -------------------------------------------------------------------

TWO = "(float[50] x) => (float y, float z) { y = RandomNormalLike(x) z = RandomNormalLike(x) }"
NOISE = np.zeros(50, np.float32)


def test_a_seed_says_every_number() -> None:
    net = seeded(loaded(TWO), train=False)
    y, z = run(net, {"x": NOISE}, 5)
    again = run(seeded(loaded(TWO), train=False), {"x": NOISE}, 5)
    np.testing.assert_array_equal([y, z], again)
    others = [*run(net, {"x": NOISE}, 6), *run(net, {"x": NOISE}, 2**63 - 1)]
    assert len({draw.tobytes() for draw in (y, z, *others)}) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("y = RandomNormalLike<seed = 1.0>(x)", "y = RandomNormalLike<seed = 1.5>(x)"),
        ("y = RandomUniformLike(x)", "y = RandomUniformLike<seed = 0.0>(x)"),
        ("y = Dropout<seed = 1>(x)", "y = Dropout<seed = 2>(x)"),
    ],
)
def test_a_seed_of_the_node_is_part_of_its_key(one: str, other: str) -> None:
    x = np.ones(50, np.float32)
    found = [
        run(trained(f"(float[50] x) => (float y) {{ {body} }}"), {"x": x})[0]
        for body in (one, one, other)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert np.any(found[0] != found[2])


def test_both_modes_draw_the_same_noise() -> None:
    net = loaded("(float[50] x) => (float y) { a = Dropout(x) y = RandomNormalLike(a) }")
    one, other = (run(seeded(net, train=train), {"x": NOISE}, 3)[0] for train in (False, True))
    np.testing.assert_array_equal(one, other)


def test_examples_have_seeds_of_their_own() -> None:
    found = {seed_of_example(seed, index) for seed in (0, 1, 2**63 - 1) for index in range(100)}
    assert len(found) == 300
    assert all(0 <= seed < 2**63 for seed in found)


@pytest.mark.parametrize(
    "draw",
    [
        "y = Dropout<seed = 1>(x)",
        "n = RandomNormalLike(x) y = Add(x, n)",
        "y = Bernoulli(x)",
        "r = Reshape(x, four) d = Dropout(r) y = Reshape(d, back)",
    ],
)
def test_a_batch_over_a_fixed_1_has_draws_for_each_example(draw: str) -> None:
    sizes = "<int64[4] four = {1, 1, 60, 1}, int64[2] back = {1, 60}>"
    found = batched(trained(f"(float[1, 60] x) => (float y) {sizes} {{ {draw} }}"), ["x"])
    assert found is not None
    assert found.axis["y"] == 0
    [y] = run(found.model, {"x": np.full((6, 60), 0.5, np.float32)})
    assert y.shape == (6, 60)
    assert len({row.tobytes() for row in y}) == 6


@pytest.mark.parametrize(
    "draw",
    [
        "n = RandomNormal<shape = [1, 4]>() y = Add(x, n)",
        "n = Dropout(w) y = Mul(x, n)",
        "i = Multinomial<sample_size = 1>(x) n = Cast<to = 1>(i) y = Mul(x, n)",
    ],
)
def test_examples_do_not_share_a_draw(draw: str) -> None:
    net = trained(f"(float[1, 4] x, float[1, 4] w) => (float y) {{ {draw} }}")
    assert batched(net, ["x"]) is None


# -- bodies that run again -------------------------------------------------------------------------

LOOP = """
    n = Constant<value = int64 {4}>()
    go = Constant<value = bool {1}>()
    y, kept = Loop(n, go, x) <body = step (int64 i, bool c, double[3] s)
        => (bool d, double[3] t, double[3] k) {
        m = MatMul(s, w)
        p = DRAW
        t = Tanh(p)
        k = Mul(t, x)
        d = Identity(c)
    }>
"""
SCAN = """
    last, y = Scan(x, many) <num_scan_inputs = 1, body = step (double[3] s, double[3] row)
        => (double[3] t, double[3] k) {
        m = MatMul(s, w)
        p = DRAW
        a = Add(p, row)
        t = Tanh(a)
        k = Mul(t, row)
    }>
"""
SCAN_WAYS = """
    last, y = Scan(x, many) <
        num_scan_inputs = 1, scan_input_axes = [-1], scan_input_directions = [1],
        scan_output_axes = [1], scan_output_directions = [1],
        body = step (double[3] s, double[3] row) => (double[3] t, double[3] k) {
            m = MatMul(s, w)
            p = DRAW
            t = Mul(p, row)
            k = Sin(t)
        }>
"""
NESTED = """
    n = Constant<value = int64 {3}>()
    go = Constant<value = bool {1}>()
    y = Loop(n, go, x) <body = outer (int64 i, bool c, double[3] s) => (bool d, double[3] t) {
        t = Loop(n, c, s) <body = inner (int64 j, bool e, double[3] o) => (bool f, double[3] q) {
            even = Less(i, j)
            p = If(even) <
                then_branch = yes () => (double[3] a) { m = MatMul(o, w) a = DRAW },
                else_branch = no () => (double[3] b) { b = Sin(o) }
            >
            q = Tanh(p)
            f = Identity(e)
        }>
        d = Identity(c)
    }>
"""
MAP = """
    rows = SplitToSequence<axis = 0, keepdims = 0>(many)
    done = SequenceMap(rows) <body = each (double[3] row) => (double[3] z) {
        m = MatMul(row, w)
        z = DRAW
    }>
    y = ConcatFromSequence<axis = 0, new_axis = 1>(done)
"""
# What stands for `v = DRAW` in a body.
DRAWS = {
    "dropout": "v = Dropout(m)",
    "noise": "u = RandomNormalLike(m) v = Mul(m, u)",
}


@dataclass(frozen=True)
class Net:
    """A net as text whose body draws, its feeds, and whether a second derivative is checked."""

    name: str
    ports: str
    body: str
    feeds: Arrays = field(default_factory=lambda: {"x": X, "w": W})

    def __str__(self) -> str:
        return self.name

    def model(self) -> ir.Model:
        return trained(f"({self.ports}) => (double y) {{ {self.body} }}")

    def case(self) -> Case:
        model = self.model()
        feeds = {**self.feeds, **seed_feed(model, 11)}
        return Case(ir.to_proto(model), feeds, tuple(self.feeds), ("y",))


def _nets() -> Iterator[Net]:
    both, rows = "double[3] x, double[3, 3] w", {"x": X, "many": MANY, "w": W}
    columns = {**rows, "many": MANY.T.copy()}
    for name, draw in DRAWS.items():
        for net in (
            Net(f"loop-{name}", both, LOOP),
            Net(f"loop-in-loop-{name}", both, NESTED, {"x": X, "w": 3 * W}),
            Net(f"scan-{name}", f"{both}, double[t, 3] many", SCAN, rows),
            Net(f"scan-ways-{name}", f"{both}, double[3, 4] many", SCAN_WAYS, columns),
            Net(f"map-{name}", "double[4, 3] many, double[3, 3] w", MAP, {"many": MANY, "w": W}),
        ):
            target = re.search(r"(\w) = DRAW", net.body)
            assert target is not None
            yield replace(net, body=net.body.replace(target[0], draw.replace("v", target[1])))
    plain = "u = RandomUniformLike(x) a = Mul(x, u) b = MatMul(a, w) y = Dropout(b)"
    yield Net("plain", both, plain)


NETS = list(_nets())


@pytest.mark.parametrize("net", NETS, ids=str)
def test_the_gradient_sees_the_draws_of_the_outputs(net: Net) -> None:
    check_adjoint(net.case(), step=1e-5, tolerance=1e-7)


@pytest.mark.parametrize("net", NETS, ids=str)
def test_second_order(net: Net) -> None:
    # A difference of gradients: its third derivatives are larger than those of the output.
    check_adjoint(second_order(net.case()), step=1e-5, tolerance=1e-6)


def test_draws_that_nothing_counts_are_refused() -> None:
    text = """<ir_version: 10, opset_import: ["": 21, "ai.other": 1]> net (float[3] x) => (float[3] y) {
        y = ai.other.Often(x) <body = one () => (float[3] z) { z = RandomNormalLike(x) }>
    }"""  # noqa: E501
    with pytest.raises(Unsupported, match="Often node 'y' draws at random"):
        seeded(ir.from_proto(onnx.parser.parse_model(text)), train=False)


# -- what is drawn is a constant for the gradient --------------------------------------------------


def test_noise_has_the_gradient_zero() -> None:
    net = trained("(float[5] x) => (float y) { y = RandomNormalLike(x) }")
    found = gradient_graph(net, wrt=["x"], of=["y"])
    assert found.warnings == ()
    [gradient] = run(found.model, {"x": np.ones(5, np.float32)})
    np.testing.assert_array_equal(gradient, np.zeros(5))


@pytest.mark.parametrize("dtype", ["float", "double"])
def test_a_bernoulli_draw_is_a_step(dtype: str) -> None:
    net = trained(f"({dtype}[5] x) => ({dtype} y) {{ y = Bernoulli(x) }}")
    found = gradient_graph(net, wrt=["x"], of=["y"])
    [warning] = found.warnings
    assert "'y': it is piecewise constant" in warning
    kind = np.float32 if dtype == "float" else np.float64
    [gradient] = run(found.model, {"x": np.full(5, 0.5, kind)})
    np.testing.assert_array_equal(gradient, np.zeros(5))


def test_the_same_draws_in_double() -> None:
    net = trained(
        "(float[9, 99] x) => (float y, float u, float n) {"
        " y = Dropout(x) u = RandomUniformLike(x) n = RandomNormalLike(x) }"
    )
    x = np.linspace(1, 2, 891, dtype=np.float32).reshape(9, 99)
    single = run(net, {"x": x}, 5)
    wide = runner(in_double(ir.to_proto(net)))
    double = wide({"x": x.astype(np.float64), **seed_feed(net, 5)})
    for one, other in zip(single[:2], double[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    # float32 rounds what goes into the logarithm and the cosine.
    np.testing.assert_allclose(single[2], double[2], rtol=1e-5, atol=1e-5)
