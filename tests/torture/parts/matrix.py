"""Who may do what: the tests of the authorisation matrix, and how many they are."""

from __future__ import annotations

from collections.abc import Iterator

from torture.plan import ROOT, Plan
from torture.report import Clock, Row
from torture.suites import suite


def run(plan: Plan) -> Iterator[Row]:
    """One row."""
    clock = Clock()
    files = sorted((ROOT / "tests").glob("**/test_*matrix*.py"))
    if not files:
        yield Row("matrix: who may do what", "there is no such test", "0 failed", None)
        return
    found = suite(files)
    figure = f"{found.passed} passed, {found.failed} failed"
    if not found.ok:
        print(found.tail)
    yield Row("matrix: who may do what", figure, "0 failed", found.ok, clock())
