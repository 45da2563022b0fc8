"""What the project differentiates, counted over ONNX's node tests.

Run as `PYTHONPATH=tests python -m support.node_case_report [VERDICTS]`, where VERDICTS is a JSON
file of {case: {"verdict": ..., "ort_runs": ...}}: cases that run and whose verdict begins with
"reliable" are counted too. With `--write`, the counts that the page of operators shows are written
to the service's data file instead; tests hold them to the cases.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib import resources
from pathlib import Path

from support.node_cases import NodeCase, node_cases
from support.node_exceptions import EXCEPTIONS
from support.node_verdicts import AGREES, judge, served
from support.operators import DIFFERENTIABLE, OTHERS, covered

COLUMNS = ("cases", "agree", "run on onnxruntime", "agree", "reliable", "agree")


def _counts(case: NodeCase, *, agrees: bool, reliable: bool) -> tuple[int, ...]:
    runs = served(case.model())
    return 1, agrees, runs, runs and agrees, reliable, reliable and agrees


def _agrees(case: NodeCase) -> bool:
    return (case.op in OTHERS or covered(case.op)) and judge(case).outcome == AGREES


def shown() -> dict[str, list[int]]:
    """For each operator that has cases, how many agree, and how many there are.

    That those agree which are no exceptions is what `rules/test_node_cases.py` shows.
    """
    counts = {
        op: [sum(case.name not in EXCEPTIONS for case in cases), len(cases)]
        for op, cases in node_cases().items()
    }
    return {op: count for op, count in sorted(counts.items()) if count[1]}


def main(path: str | None = None) -> None:
    """Print one line for each operator, then the totals."""
    verdicts = json.loads(Path(path).read_text()) if path else {}
    reliable = {
        n for n, v in verdicts.items() if v["verdict"].startswith("reliable") and v["ort_runs"]
    }
    totals, agreeing = [0] * len(COLUMNS), 0
    print("operator", *COLUMNS, sep="\t")
    for op, cases in node_cases().items():
        rows = [_counts(c, agrees=_agrees(c), reliable=c.name in reliable) for c in cases]
        sums = [sum(column) for column in zip(*rows, strict=True)] or [0] * len(COLUMNS)
        totals = [a + b for a, b in zip(totals, sums, strict=True)]
        agreeing += sums[1] > 0
        print(op, *sums, "" if op in OTHERS or covered(op) else "not covered", sep="\t")
    print("total", *totals, sep="\t")
    print(f"with a rule or a body: {sum(map(covered, DIFFERENTIABLE))} of {len(DIFFERENTIABLE)}")
    print(f"with a case that agrees: {agreeing}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:] == ["--write"]:
        target = resources.files("portgrad.autodiff").joinpath("node_tests.json")
        lines = [f"{json.dumps(op)}: {counts}" for op, counts in shown().items()]
        Path(str(target)).write_text("{\n" + ",\n".join(lines) + "\n}\n")
    else:
        main(*sys.argv[1:2])
