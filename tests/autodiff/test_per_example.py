"""Gradients of parameters for each example, from one run over a batch."""

from __future__ import annotations

import pytest

from support.per_example import assert_each_is_single, net_of
from support.per_example_rows import ROWS


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in ROWS])
def test_each_is_what_a_single_run_gives(row: tuple[str, ...]) -> None:
    _, text, *rest = row
    one_by_one, *opset = rest or [""]
    model = net_of(text, *map(int, opset))
    used = assert_each_is_single(model)
    assert ("Scan" in used) == bool(one_by_one)
