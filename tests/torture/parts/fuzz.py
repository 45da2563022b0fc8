"""Each decoder under hypothesis, with many more examples than the ordinary tests take."""

from __future__ import annotations

from collections.abc import Iterator

from torture.plan import ROOT, Plan
from torture.report import Clock, Row
from torture.suites import suite

EXAMPLES = 20_000


def run(plan: Plan) -> Iterator[Row]:
    """A row for each decoder's tests."""
    files = sorted((ROOT / "tests").glob("**/test_*fuzz*.py"))
    if not files:
        yield Row("fuzz: decoders", "there are no such tests", "0 failed", None)
    examples = int(plan.share(EXAMPLES, of_minutes=10))
    for file in files:
        clock = Clock()
        found = suite([file], {"PORTGRAD_FUZZ_EXAMPLES": str(examples)})
        if not found.ok:
            print(found.tail)
        figure = f"{found.passed} tests of {examples} examples passed, {found.failed} failed"
        yield Row(f"fuzz: {file.stem.removeprefix('test_')}", figure, "0 failed", found.ok, clock())
