"""LSTM said as a scan that gives out its gates, as large nodes are: here of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import portgrad
from portgrad.autodiff.rules import lstm_steps
from rules.rows.recurrent import _BACK, _BOTH, _row
from support.double import runner
from support.rig import STEP, Row, case, check_adjoint, second_order


def _rows() -> Iterator[Row]:
    for name, way in (("", {}), ("-back", _BACK), ("-both", _BOTH)):
        yield _row("LSTM", f"all{name}", way, without="P")
        yield _row("LSTM", f"bare{name}", way, without="BhcP", outputs=1)
    yield _row("LSTM", "both-h", {**_BOTH, "activations": ["Sigmoid", "Tanh", "Tanh"] * 2},
               without="hP", outputs="01")  # fmt: skip
    yield _row("LSTM", "only-c", without="cP", outputs="001")


ROWS = list(_rows())
LEFT = [
    _row("LSTM", "peepholes"),
    _row("LSTM", "lens", without="P", lens=np.array([4, 2], np.int32)),
    _row("LSTM", "clip", {"clip": 0.6}, without="P"),
    _row("LSTM", "coupled", {"input_forget": 1}, without="P"),
    _row("LSTM", "rectifiers", {"activations": ["Relu", "Tanh", "Tanh"]}, without="P"),
]


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_steps, "LARGE", 1)


def _operators(row: Row) -> set[str]:
    return {node.op_type for node in case(row).gradient().graph.node}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_adjoint(row: Row) -> None:
    assert "LSTM" not in _operators(row)
    check_adjoint(case(row), step=STEP, tolerance=row.tolerance())
    twice = second_order(case(row))
    check_adjoint(twice, step=STEP, tolerance=row.tolerance(order=2))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_agrees_with_the_kernel_and_what_is_found_again(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 on onnxruntime, with weights that are constants and open sizes elsewhere."""
    held = replace(row, constants=(1, 2), wrt=tuple(i for i in row.targets if i not in (1, 2)))
    which = case(held, np.float32, symbolic=True)
    seeds = which.seeds(which.run_forward())
    got = runner(which.gradient(), engine="onnxruntime")({**which.feeds, **seeds})
    monkeypatch.setattr(lstm_steps, "LARGE", 2**62)
    want = runner(which.gradient(), engine="onnxruntime")({**which.feeds, **seeds})
    for a, b in zip(want, got, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-6, atol=2e-6)  # sums in another order


@pytest.mark.parametrize("row", LEFT, ids=str)
def test_rarer_uses_keep_the_kernel(row: Row) -> None:
    assert "LSTM" in _operators(row)


def test_outputs_keep_their_names_and_values() -> None:
    [row] = [row for row in ROWS if row.id == "all-both"]
    which = case(row, np.float32)
    net = portgrad.load(which.model.SerializeToString())
    plain = net.evaluate(which.feeds)
    outputs, found = net.value_and_gradient(which.feeds, wrt="all")
    each = net.gradient(which.feeds, wrt=["y0"])
    assert list(outputs) == list(plain)
    for name, array in plain.items():
        np.testing.assert_allclose(outputs[name], array, rtol=2e-6, atol=2e-6)
    assert set(found) == set(which.wrt)
    np.testing.assert_array_equal(each["y0"], np.ones_like(plain["y0"]))


@pytest.mark.parametrize("shape", [(4, 0, 3), (0, 2, 3)], ids=str)
def test_nothing_to_go_through(shape: tuple[int, int, int]) -> None:
    [row] = [row for row in ROWS if row.id == "bare"]
    held = replace(row, constants=(1, 2), wrt=(0,))
    net = portgrad.load(case(held, np.float32, symbolic=True).model.SerializeToString())
    found = net.gradient({"x0": np.zeros(shape, np.float32)})
    assert found["x0"].shape == shape
