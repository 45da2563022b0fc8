"""ONNX's own node tests of every operator: the gradient agrees with central differences."""

from __future__ import annotations

import pytest

from support.node_cases import node_cases
from support.node_exceptions import EXCEPTIONS
from support.node_verdicts import AGREES, judge
from support.operators import DIFFERENTIABLE, OTHERS, covered

NO_CASES = {"GlobalLpPool", "MaxRoiPool", "Trilu"}  # between floats


@pytest.mark.parametrize("op", [*(op for op in DIFFERENTIABLE if covered(op)), *OTHERS])
def test_gradients_of_node_cases(op: str) -> None:
    cases = node_cases()[op]
    assert cases or op in NO_CASES
    found = {case.name: judge(case) for case in cases}
    others = {name: v for name, v in found.items() if v.outcome != AGREES}
    want = {name: EXCEPTIONS[name][0] for name in found if name in EXCEPTIONS}
    assert {name: v.outcome for name, v in others.items()} == want, others


def test_exceptions_are_cases() -> None:
    assert set(EXCEPTIONS) <= {case.name for cases in node_cases().values() for case in cases}
