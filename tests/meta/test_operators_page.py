"""The page of operators is what the registry says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from portgrad.autodiff.binding import versions_between
from portgrad.autodiff.catalogue import MEANINGS, catalogue, node_tests, page
from support.node_case_report import shown

PAGE = Path(__file__).parents[2] / "docs/reference/operators.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "python -m portgrad.autodiff.catalogue > " + PAGE.name


def test_the_node_tests_shown_are_those_that_are_run() -> None:
    seen = {name: [tests.agree, tests.of] for name, tests in node_tests().items()}
    assert seen == shown(), "python -m support.node_case_report --write"


def test_every_operator_has_one_meaning() -> None:
    listed = catalogue()
    assert len({(operator.domain, operator.name) for operator in listed}) == len(listed)
    assert {operator.gradient for operator in listed} <= set(MEANINGS)


# Floating operands of these decide the dtype or the shape of what comes out, and nothing else.
SHAPED_LIKE = {"EyeLike", "RandomNormalLike", "RandomUniformLike"}


def test_what_has_none_takes_or_gives_nothing_floating() -> None:
    """An operator that computes numbers with numbers may be zero, but then it says so."""
    for operator in catalogue():
        if operator.gradient == "none" and operator.name not in SHAPED_LIKE:
            domain = "" if operator.domain == "ai.onnx" else operator.domain
            schema = versions_between(operator.name, domain, 1, None)[-1]
            assert not (_floating(schema, schema.inputs) and _floating(schema, schema.outputs))


def test_what_is_zero_or_refused_says_why() -> None:
    assert all(o.note for o in catalogue() if o.gradient in {"zero", "refused"})


def _floating(schema: Any, ports: Any) -> bool:
    """Whether one of the operands or outputs may hold floating numbers."""
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    types = [one for port in ports for one in allowed.get(port.type_str, [port.type_str])]
    return any(word in one for one in types for word in ("float", "double"))
