"""Random compositions of operators: what is accepted as a batch gives what single runs give."""

from __future__ import annotations

import pytest

from portgrad.graph.batching import apart, batched
from support.batch_compositions import GRAPHS, Composer
from support.batches import assert_batch_is_each, assert_open_batch_is_each, loaded, opened


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_an_accepted_composition_gives_what_single_runs_give(seed: int) -> None:
    model = loaded(Composer(seed).text())
    if batched(model, ["x", "x2"]) is not None:
        assert_batch_is_each(model, ["x", "x2"], seed)


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_an_open_composition_gives_what_single_runs_give(seed: int) -> None:
    model = loaded(opened(Composer(seed).text()))
    assert_open_batch_is_each(model, ["x", "x2"], seed)


def test_many_compositions_are_accepted() -> None:
    models = [loaded(Composer(seed).text()) for seed in range(GRAPHS)]
    accepted = sum(batched(model, ["x", "x2"]) is not None for model in models)
    assert accepted > GRAPHS // 5
    open_ones = [loaded(opened(Composer(seed).text())) for seed in range(GRAPHS)]
    assert sum(apart(model, ["x", "x2"]) is not None for model in open_ones) > GRAPHS // 10
