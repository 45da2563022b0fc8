"""Nets above the working opset keep their own: rows written for it, at the newest opset."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest

from rules.test_rule_table import SMOOTH
from support.rig import Row, case

NEWEST = 28
# Neither onnxruntime nor onnx's reference runs them from opset 22 on.
NOT_RUN = {"GlobalLpPool", "MaxRoiPool"}


def _renewed() -> list[Row]:
    """Two rows of each operator that has a newer version."""
    found: dict[str, list[Row]] = {}
    for row in SMOOTH:
        if row.domain or row.opset != 21 or row.op in NOT_RUN:
            continue
        if onnx.defs.get_schema(row.op, NEWEST, "").since_version > row.opset:
            found.setdefault(row.op, []).append(row)
    return [row for rows in found.values() for row in rows[:2]]


def _packed() -> list[Row]:
    """Those whose bodies are others where DequantizeLinear has no kernel."""
    return [row for row in SMOOTH if row.op in {"MatMulNBits", "QMoE"} and row.domain]


@pytest.mark.parametrize("row", [*_renewed(), *_packed()], ids=str)
def test_the_newest_version_has_the_same_gradient(row: Row) -> None:
    old, new = (case(r, r.dtype) for r in (row, dataclasses.replace(row, opset=NEWEST)))
    seeds = old.seeds(old.run_forward())
    for a, b in zip(old.run_gradient(seeds), new.run_gradient(seeds), strict=True):
        # The two need not run on the same kernels.
        np.testing.assert_allclose(b, a, rtol=row.single, atol=row.single)


def test_the_newest_opset_is_the_newest() -> None:
    assert onnx.defs.onnx_opset_version() == NEWEST
