"""Gradients of parameters for each example, from one run over a batch."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np
import pytest

from portgrad.autodiff import STRAIGHT_THROUGH, NotApart, gradient_graph
from portgrad.graph.batch.states import Along
from portgrad.graph.batching import Axes, apart
from support.batch_compositions import GRAPHS, Composer
from support.batch_rows import ACCEPTED
from support.per_example import CLOSE, assert_each_is_single, compare, drawn, net_of, run
from support.per_example_rows import ROWS

# Nets of the batch analysis, exported for one example, that have floating operands to share.
WITH_SHARED = [
    row for row in ACCEPTED if re.search(r"float\[[^]]*\] (?!x)", row[1].partition("=>")[0])
]
# The operator's body does not say where examples lie, or its sizes are those of a whole batch.
NOT_APART = {"attention", "rotary embedding", "tiles for each"}


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in ROWS])
def test_each_is_what_a_single_run_gives(row: tuple[str, ...]) -> None:
    _, text, *rest = row
    one_by_one, *opset = rest or [""]
    model = net_of(text, *map(int, opset))
    used = assert_each_is_single(model)
    assert ("Scan" in used) == bool(one_by_one)


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in WITH_SHARED])
def test_whatever_runs_as_one_batch_has_gradients_for_each(row: tuple[str, str, int]) -> None:
    title, text, _, *opset = row
    with pytest.raises(NotApart) if title in NOT_APART else contextlib.nullcontext():
        assert_each_is_single(net_of(text, *opset), total=False)


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_random_compositions_have_gradients_for_each(seed: int) -> None:
    model = net_of(Composer(seed).text())
    if apart(model, ["x", "x2"]) is None:
        return
    used = {use for value in model.graph.initializers.values() for use in value.uses()}
    if used:
        assert_each_is_single(model)


REFUSED = [
    (
        "an output that all share",
        "(float[N,3] x, float[3] w) => (y, z) { y = Add(x, w) z = Exp(w) }",
        "'z' is the same for all examples",
    ),
    (
        "a tile for each example",
        """(float[N,3] x, float[1,3] w) => (y) {
            s = Shape<start = 0, end = 1>(x) o = Concat<axis = 0>(s, [2]) y = Tile(w, o) }""",
        "the Tile node 'y' reads sizes that are others for one example",
    ),
]


@pytest.mark.parametrize(("text", "reason"), [pytest.param(*r[1:], id=r[0]) for r in REFUSED])
def test_what_cannot_be_said_for_each_example_is_refused(text: str, reason: str) -> None:
    model = net_of(text)
    found = apart(model, ["x"])
    assert found is not None
    of = [str(value.name) for value in model.graph.outputs]
    with pytest.raises(NotApart) as caught:
        gradient_graph(found.model, wrt=["w"], of=of, apart=found.axis)
    assert str(caught.value) == reason


def test_parameters_in_branches_are_refused() -> None:
    """The analysis refuses subgraphs itself; whoever knows the axes better is told."""
    model = net_of(
        """(float[N,3] x, float[3,4] w, bool c) => (y) {
            v = If(c) <then_branch = t () => (float[3,4] a) { a = Exp(w) },
                      else_branch = e () => (float[3,4] b) { b = Identity(w) }>
            y = MatMul(x, v) }"""
    )
    axes = Axes({"x": Along(0), "y": Along(0)})
    with pytest.raises(NotApart, match="into the subgraphs of the If node 'v'"):
        gradient_graph(model, wrt=["w"], of=["y"], apart=axes)


def test_straight_through_is_refused() -> None:
    found = apart(net_of("(float[N,3] x, float[3] w) => (y) { y = Add(x, w) }"), ["x"])
    assert found is not None
    with pytest.raises(NotApart, match="straight through"):
        gradient_graph(
            found.model, wrt=["w"], of=["y"], quantized=STRAIGHT_THROUGH, apart=found.axis
        )


def test_a_target_that_nothing_depends_on_has_zeros_for_each_example() -> None:
    model = net_of(
        "(float[N,3] x, float[3] w, float[2,2] v) => (y, u) { y = Add(x, w) u = Exp(v) }"
    )
    found = apart(model, ["x"])
    assert found is not None
    graph = gradient_graph(found.model, wrt=["v", "x"], of=["y"], apart=found.axis)
    got = run(graph.model, {"x": np.ones((3, 3), np.float32)})
    assert got["grad/v"].shape == (3, 2, 2)
    assert not got["grad/v"].any()
    np.testing.assert_array_equal(got["grad/x"], np.ones((3, 3), np.float32))


def test_no_copies_of_a_weight_are_made() -> None:
    """What asks for the shape of a stand-in reads it where it was made."""
    model = net_of(
        "(float[N,4] x, float[6,2] p) => (y) { w = Reshape(p, [4, 3]) y = MatMul(x, w) }"
    )
    found = apart(model, ["x"])
    assert found is not None
    graph = gradient_graph(found.model, wrt=["p"], of=["y"], apart=found.axis)
    assert "Expand" not in {node.op_type for node in graph.model.graph}


def test_stacked_seeds_come_before_the_examples() -> None:
    model = net_of("(float[N,3] x, float[3,2] w) => (y) { h = MatMul(x, w) y = Tanh(h) }")
    found = apart(model, ["x"])
    assert found is not None
    options: dict[str, Any] = {"wrt": ["w"], "of": ["y"], "seeds": ["y"], "apart": found.axis}
    stacked = gradient_graph(found.model, **options, stacked=True)
    feeds = drawn(model, ["x"])
    seeds = np.random.default_rng(1).standard_normal((2, 3, 2)).astype(np.float32)
    got = run(stacked.model, {**feeds, "seed/y": seeds})["grad/w"]
    one = gradient_graph(found.model, **options)
    for index, seed in enumerate(seeds):
        expected = run(one.model, {**feeds, "seed/y": seed})["grad/w"]
        compare("grad/w", got[index], expected, CLOSE)
    assert got.shape == (2, 3, 3, 2)
