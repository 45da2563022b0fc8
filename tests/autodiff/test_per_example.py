"""Gradients of parameters for each example, from one run over a batch."""

from __future__ import annotations

import contextlib
import re

import pytest

from portgrad.autodiff import NotApart
from support.batch_rows import ACCEPTED
from support.per_example import assert_each_is_single, net_of
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
