"""Every row of the rule table: adjoint, second order, symbolic shapes, float32, kinks."""

from __future__ import annotations

import numpy as np
import pytest

from rules.rows import families
from support.double import runner
from support.rig import Row, case, check_adjoint, second_order

ROWS = [row for rows in families().values() for row in rows]
SMOOTH = [row for row in ROWS if row.expected is None]
DOUBLE = [row for row in SMOOTH if row.dtype is np.float64]
# Rows that the runtime runs in no dtype, and why.
NOWHERE = {
    "Einsum-empty": "it would end the process",
    "RoiAlign-newest": "no kernel",
    "TopK-no-indices": "the kernel wants both outputs",
}


def test_rows_have_names_of_their_own() -> None:
    names = [str(row) for row in ROWS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("row", SMOOTH, ids=str)
def test_adjoint(row: Row) -> None:
    check_adjoint(case(row, row.dtype), step=row.step, tolerance=row.tolerance())


@pytest.mark.parametrize("row", [row for row in SMOOTH if row.second], ids=str)
def test_second_order(row: Row) -> None:
    twice = second_order(case(row, row.dtype))
    check_adjoint(twice, step=row.step, tolerance=row.tolerance(order=2))


@pytest.mark.parametrize("row", SMOOTH, ids=str)
def test_symbolic_shapes_change_nothing(row: Row) -> None:
    static, symbolic = case(row, row.dtype), case(row, row.dtype, symbolic=True)
    seeds = static.seeds(static.run_forward())
    want, got = static.run_gradient(seeds), symbolic.run_gradient(seeds)
    tolerance = 1e-12 if row.dtype is np.float64 else row.single  # sums in another order
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("row", DOUBLE, ids=str)
def test_float32_on_onnxruntime_agrees_with_float64(row: Row) -> None:
    single, double = case(row, np.float32), case(row)
    seeds = double.seeds(double.run_forward())
    want = double.run_gradient(seeds)
    rounded = {name: x.astype(np.float32) for name, x in seeds.items()}
    got = runner(single.gradient(), engine="onnxruntime")({**single.feeds, **rounded})
    for a, b in zip(want, got, strict=True):
        assert b.dtype == np.float32
        atol = row.single * (1.0 + float(np.max(np.abs(a), initial=0.0)))
        np.testing.assert_allclose(b, a, rtol=row.single, atol=atol)


@pytest.mark.parametrize("row", [row for row in ROWS if row.expected is not None], ids=str)
@pytest.mark.parametrize("symbolic", [False, True])
def test_kinks_follow_the_table(row: Row, symbolic: bool) -> None:
    which = case(row, np.float32, symbolic=symbolic)
    outputs = runner(which.forward(), engine="onnxruntime")(which.feeds)
    ones = {f"seed/{name}": np.ones_like(y) for name, y in zip(which.of, outputs, strict=True)}
    got = runner(which.gradient(), engine="onnxruntime")({**which.feeds, **ones})
    for position, gradient in zip(row.targets, got, strict=True):
        assert row.expected is not None
        np.testing.assert_array_equal(gradient, np.asarray(row.expected[position], np.float32))
