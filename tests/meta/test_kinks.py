"""Conventions at points without a derivative: in the registry, the record and a row of tests."""

from __future__ import annotations

import re
from pathlib import Path

from portgrad.autodiff.registry import Rule, Zero, entries
from rules.test_rule_table import ROWS

RECORD = Path(__file__).parents[2] / "docs" / "decisions" / "0004-kinks.md"
Name = tuple[str, str]


def _conventions() -> set[Name]:
    return {key for key, found in entries().items() if any(getattr(e, "kink", None) for e in found)}


def _recorded() -> set[Name]:
    """The operators in the first column of the record's table."""
    found = set()
    for cell in re.findall(r"^\| ([^|]+) \|", RECORD.read_text(), re.MULTILINE)[1:]:
        domain = next((d for d in ("ai.onnx.ml", "com.microsoft") if f"{d}." in cell), "")
        names = re.findall(r"\b[A-Z]\w+", cell)
        found.update((domain, name) for name in names)
    return found


def test_the_record_has_every_convention_and_no_other() -> None:
    recorded = _recorded()
    flat = {key for key in recorded if isinstance(entries()[key][0], Zero)}
    assert recorded - flat == _conventions()


def test_every_convention_is_held_to_exact_values() -> None:
    """Those of rules: an operator with a body has those of the operators in it."""
    held = {(row.domain, row.op) for row in ROWS if row.expected is not None}
    rules = {key for key in _conventions() if isinstance(entries()[key][0], Rule)}
    assert rules <= held
