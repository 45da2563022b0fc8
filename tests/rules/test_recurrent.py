"""RNN, GRU and LSTM: what the rule table cannot say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from rules.rows.recurrent import ROWS
from support.double import runner
from support.rig import STEP, Row, case, check_adjoint, second_order

# onnxruntime has no kernel for layout 1: the reference alone can judge it.
OPTIONS = {"reset-after": "GRU", "all": "RNN", "lens-both": "LSTM", "input-forget": "LSTM"}


def _batch_first(row: Row) -> Row:
    states = {0, 5, 6}
    inputs = [
        x.swapaxes(0, 1).copy() if i in states and x is not None else x
        for i, x in enumerate(row.inputs)
    ]
    return replace(row, inputs=inputs, attributes={**row.attributes, "layout": 1})


BATCH_FIRST = [_batch_first(row) for row in ROWS if OPTIONS.get(row.id) == row.op]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_reference_computes_what_onnxruntime_does(row: Row) -> None:
    which = case(row, np.float32)
    model, feeds = which.forward(), which.feeds
    want = runner(model, engine="onnxruntime")(feeds)
    got = runner(model, engine="reference")(feeds)
    for a, b in zip(want, got, strict=True):
        # Sums of 3 to 5 products in another order, four steps long.
        np.testing.assert_allclose(b, a, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("row", BATCH_FIRST, ids=str)
def test_batch_first(row: Row) -> None:
    check_adjoint(case(row), step=STEP, tolerance=row.tolerance())
    check_adjoint(case(row, symbolic=True), step=STEP, tolerance=row.tolerance())
    check_adjoint(second_order(case(row)), step=STEP, tolerance=row.tolerance(order=2))


def test_what_lies_behind_the_end_of_an_example_does_not_matter() -> None:
    [row] = [row for row in ROWS if str(row) == "LSTM-lens-both"]
    which = case(row, np.float32)
    seeds = which.seeds(which.run_forward())
    gradient = runner(which.gradient(), engine="onnxruntime")
    want = gradient({**which.feeds, **seeds})
    x = which.feeds["x0"].copy()
    x[2:, 1] = np.nan
    got = gradient({**which.feeds, "x0": x, **seeds})
    for a, b in zip(want, got, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not want[0][2:, 1].any()


@pytest.mark.parametrize("name", ["LSTM-plain", "GRU-reset-after", "RNN-plain"])
def test_only_the_recurrence_is_left_to_scans(name: str) -> None:
    [row] = [row for row in ROWS if str(row) == name]
    gradient = case(row).gradient()
    bodies = [
        attribute.g
        for node in gradient.graph.node
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
    ]
    products = [node for body in bodies for node in body.node if node.op_type == "MatMul"]
    assert len(products) == 1


@pytest.mark.parametrize("name", ["LSTM-back", "LSTM-both", "GRU-reset-after-both", "RNN-both"])
def test_no_weight_is_held_twice(name: str) -> None:
    """The runtime folds whatever moves a weight's elements into a second copy of the weight."""
    [row] = [row for row in ROWS if str(row) == name]
    which = replace(row, constants=(1, 2), wrt=(0, 1, 2))
    nodes = case(which).gradient().graph.node
    uses = {node.op_type for node in nodes if {"x1", "x2"}.intersection(node.input)}
    assert uses == {row.op, "MatMul"}
