"""The example that falsifies a property of an ACAS Xu net."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from portgrad_client import Client
from support import real_nets
from support.real_nets import ABSENT, folder

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "falsify_acasxu.py"))
TEXT = """
(declare-const X_0 Real) (declare-const X_1 Real)
(declare-const Y_0 Real) (declare-const Y_1 Real) (declare-const Y_2 Real)
; a comment (with brackets)
(assert (<= X_0 0.5)) (assert (>= X_0 -0.25)) (assert (<= -1 X_1)) (assert (>= 1e0 X_1))
"""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with real_nets.service() as client:
        yield client


@pytest.mark.parametrize(
    ("asserted", "unsafe", "safe"),
    [
        (
            "(assert (<= Y_1 Y_0)) (assert (>= Y_0 2.5))",
            [(3, 1, 0), (2.5, 2.5, 9)],
            [(3, 4, 0), (2, 1, 0)],
        ),
        (
            "(assert (or (<= Y_0 1) (and (>= Y_1 2) (<= Y_2 3))))",
            [(1, 0, 9), (5, 2, 3)],
            [(2, 1, 0), (2, 3, 4)],
        ),
        (
            "(assert (or (<= Y_0 0) (<= Y_1 0))) (assert (>= Y_2 Y_1))",
            [(0, 1, 1), (5, 0, 0)],
            [(0, 1, 0), (1, 1, 2)],
        ),
    ],
)
def test_properties_are_read(asserted: str, unsafe: list[Any], safe: list[Any]) -> None:
    found = EXAMPLE["parse"](TEXT + asserted)
    np.testing.assert_array_equal(found.low, np.array([-0.25, -1], np.float32))
    np.testing.assert_array_equal(found.high, np.array([0.5, 1], np.float32))
    for points, holds in ((unsafe, True), (safe, False)):
        margins, _ = found.violation(np.array(points, np.float32))
        assert list(margins <= 0) == [holds] * len(points)


def test_the_way_to_a_violation_is_by_all_conditions_that_do_not_hold() -> None:
    found = EXAMPLE["parse"](TEXT + "(assert (<= Y_1 Y_0)) (assert (<= Y_2 Y_0))")
    margins, ways = found.violation(np.array([[1, 5, 2], [1, 0, 6], [3, 1, 1]], np.float32))
    np.testing.assert_array_equal(margins, [4, 5, -2])
    np.testing.assert_array_equal(ways, [[-2, 1, 1], [-1, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize("asserted", ["(assert (= Y_0 1))", "(assert (<= Z_0 1))",
                                      "(assert (or (<= X_0 1) (<= Y_0 1)))"])  # fmt: skip
def test_what_is_not_read_is_refused(asserted: str) -> None:
    with pytest.raises(ValueError, match=r"among|neither|bounded"):
        EXAMPLE["parse"](TEXT + asserted)


@pytest.mark.skipif(folder() is None, reason=ABSENT)
def test_property_2_of_acasxu_2_1_is_false(client: Client) -> None:
    where = folder()
    assert where is not None
    wanted = EXAMPLE["parse"]((where / "acas_prop_2.vnnlib").read_text())
    found = EXAMPLE["search"](client.upload(where / "acasxu_2_1.onnx"), wanted, seed=0)
    assert found.point is not None, EXAMPLE["report"](found)
    assert found.steps > 1  # by descent, not by luck
    assert (wanted.low <= found.point).all()
    assert (found.point <= wanted.high).all()
    session = ort.InferenceSession(where / "acasxu_2_1.onnx", providers=["CPUExecutionProvider"])
    [[y]] = session.run(None, {"input": found.point.reshape(1, 1, 1, 5)})
    assert y[0] >= y[1:].max()
    assert "counterexample" in EXAMPLE["report"](found)


@pytest.mark.skipif(folder() is None, reason=ABSENT)
def test_a_search_that_finds_nothing_says_so(client: Client) -> None:
    where = folder()
    assert where is not None
    wanted = EXAMPLE["parse"]((where / "acas_prop_1.vnnlib").read_text())  # known to hold
    net = client.upload(where / "acasxu_1_1.onnx")
    found = EXAMPLE["search"](net, wanted, starts=4, steps=3)
    assert found.point is None
    assert found.calls == 7
    assert EXAMPLE["report"](found).startswith("No counterexample was found: 4 starts")
