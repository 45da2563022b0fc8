"""Tangents, products with Hessians, and stacks of either, of nets with control flow and sequences
and of rows of many kinds: adjoint to the gradient, symmetric, and what each alone gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest

from autodiff import test_control_flow, test_growing_loops, test_sequences
from rules.rows import families
from support.products import bent, drawn, gradients, inner, pushed, stack
from support.rig import Case, case

Make: TypeAlias = Callable[[], Case]

ROWS = frozenset(
    "BatchNormalization-training-y Conv-pads MaxPool-pads GRU-all LSTM-lens-both RNN-back "
    "Attention-past LayerNormalization-no-bias Softmax Gather-middle TopK-newest "
    "Einsum-ij,jk->ik".split()
)
GROWING = {"append", "reads itself"}
LISTS = {"insert 3", "split by sizes", "unbind"}


def cases() -> list[tuple[str, Make]]:
    rows = [row for found in families().values() for row in found if str(row) in ROWS]
    assert {str(row) for row in rows} == ROWS
    nets = [
        *test_control_flow.NETS,
        *{net.name: net for net in test_growing_loops.NETS if net.name in GROWING}.values(),
        *(net for net in test_sequences.NETS if net.name in LISTS),
    ]
    return [
        *((str(net), net.case) for net in nets),
        *((str(row), lambda row=row: case(row)) for row in rows),
    ]


CASES = cases()


def both(make: Make) -> tuple[Case, list[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]:
    """A case with two seeds and two tangents."""
    which = make()
    outputs = dict(zip(which.of, which.run_forward(), strict=True))
    targets = {name: which.feeds[name] for name in which.wrt}
    seeds = [drawn("seed/", outputs, k) for k in range(2)]
    return which, seeds, [drawn("tangent/", targets, k) for k in range(3, 5)]


@pytest.mark.parametrize("make", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_of_the_first_order(make: Make) -> None:
    which, seeds, tangents = both(make)
    ones = [gradients(which, seed, stacked=False) for seed in seeds]
    many = gradients(which, stack(seeds), stacked=True)
    moved = pushed(which, stack(tangents), stacked=True)
    for k, (seed, tangent) in enumerate(zip(seeds, tangents, strict=True)):
        alone = pushed(which, tangent)
        for one, all_of_them in zip((*ones[k], *alone), (*many, *moved), strict=True):
            np.testing.assert_allclose(all_of_them[k], one, rtol=1e-12, atol=1e-12)
        across = inner(list(seed.values()), alone)
        assert across == pytest.approx(inner(ones[k], list(tangent.values())), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("make", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_of_the_second_order(make: Make) -> None:
    which, [seed, *_], tangents = both(make)
    many = bent(which, seed, stack(tangents), stacked=True)
    ones = [bent(which, seed, tangent) for tangent in tangents]
    for k, alone in enumerate(ones):
        for one, all_of_them in zip(alone, many, strict=True):
            np.testing.assert_allclose(all_of_them[k], one, rtol=1e-12, atol=1e-12)
    u, v = (list(tangent.values()) for tangent in tangents)
    assert inner(u, ones[1]) == pytest.approx(inner(v, ones[0]), rel=1e-10, abs=1e-10)
