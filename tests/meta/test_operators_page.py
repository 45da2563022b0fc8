"""The page of operators is what the registry says."""

from __future__ import annotations

from pathlib import Path

from portgrad.autodiff.catalogue import MEANINGS, catalogue, page

PAGE = Path(__file__).parents[2] / "docs/reference/operators.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "python -m portgrad.autodiff.catalogue > " + PAGE.name


def test_every_operator_has_one_meaning() -> None:
    listed = catalogue()
    assert len({(operator.domain, operator.name) for operator in listed}) == len(listed)
    assert {operator.gradient for operator in listed} <= set(MEANINGS)
