"""Rows of the rule table in double precision: the float32 net of a row, made double, on the engine.

Each is judged by itself: the gradient against central differences of the forward pass, in float64.
A float32 anywhere inside makes noise of 1e-7, which differences with a step of 1e-5 magnify to
1e-2. What a row computes is compared with its float32 net.

Of the rows of one operator the first runs, and then one in six: the other rows differ by
attributes that the rules' own tests go through, and every operator's float64 rows run on the engine
in `rules/test_other_dtypes.py`.
"""

from __future__ import annotations

import collections

import numpy as np
import onnx_ir as ir
import pytest

from portgrad.autodiff import doubled, gradient_graph
from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights
from portgrad.errors import PortgradError
from rules.test_rule_table import NOWHERE, SMOOTH
from support.double import Arrays, directional
from support.rig import Case, Row, case

EVERY = 6
SINGLE = 1e-4  # of float32 against float64, relative to the largest output
# Rows that the runtime computes wrongly, and why. In double Col2Im is said in other operators.
WRONG = {
    "DFT-real-from-too-many": "the kernels of every dtype make something else of so many bins",
}
WRONG_IN_FLOAT32 = {"Col2Im-3d-dilated": "the kernel misplaces the taps"}


def _chosen() -> list[Row]:
    count: collections.Counter[tuple[str, str]] = collections.Counter()
    chosen = []
    for row in SMOOTH:
        if count[row.domain, row.op] % EVERY == 0 and str(row) not in NOWHERE | WRONG:
            chosen.append(row)
        count[row.domain, row.op] += 1
    return chosen


def _session(net: ir.Model) -> Session:
    return Session(net, Weights(net), threads=1)


def _double(which: Case) -> tuple[Session, Session]:
    """Sessions of the net and of its gradient, in double."""
    net = doubled(ir.from_proto(which.forward()))
    graph = gradient_graph(net, wrt=which.wrt, of=which.of, seeds=which.of)
    return _session(net), _session(graph.model)


def _widened(arrays: Arrays) -> Arrays:
    return {n: x.astype(np.float64) if x.dtype == np.float32 else x for n, x in arrays.items()}


@pytest.mark.parametrize("row", _chosen(), ids=str)
def test_row(row: Row) -> None:
    single = case(row, np.float32)
    forward, gradient = _double(single)
    feeds = _widened(single.feeds)
    outputs = forward.run(feeds)
    if str(row) not in WRONG_IN_FLOAT32:
        _agrees_with_float32(single, outputs)
    seeds = _widened(single.seeds(outputs))
    found = gradient.run({**feeds, **seeds})

    def run(moved: Arrays) -> list[np.ndarray]:
        return forward.run(moved)

    rng = np.random.default_rng(11)
    for name, ct in zip(single.wrt, found, strict=True):
        assert ct.dtype == np.float64
        assert ct.shape == feeds[name].shape
        v = np.asarray(rng.standard_normal(ct.shape))
        step = 1.0 if row.multilinear else 1e-5
        numeric = directional(run, feeds, list(seeds.values()), {name: v}, step)
        exact = float(np.vdot(ct, v))
        scale = 1.0 + float(np.linalg.norm(ct) * np.linalg.norm(v))
        # What is linear in each operand has no error but rounding.
        assert abs(exact - numeric) <= (1e-11 if row.multilinear else 1e-7) * scale, name


def _agrees_with_float32(single: Case, outputs: list[np.ndarray]) -> None:
    try:
        want = _session(ir.from_proto(single.forward())).run(single.feeds)
    except PortgradError:  # the runtime has no float32 kernel, the more in double
        return
    for a, b in zip(want, outputs, strict=True):
        assert b.dtype == np.float64
        atol = SINGLE * (1.0 + float(np.max(np.abs(a), initial=0.0)))
        np.testing.assert_allclose(b, a, rtol=SINGLE, atol=atol)


@pytest.mark.parametrize("name", NOWHERE)
def test_what_runs_in_no_dtype(name: str) -> None:
    [row] = [row for row in SMOOTH if str(row) == name]
    single = case(row, np.float32)
    for net in (ir.from_proto(single.forward()), doubled(ir.from_proto(single.forward()))):
        kinds = {str(v.name): v.dtype for v in net.graph.inputs}
        feeds = {n: x.astype(kinds[n].numpy()) for n, x in single.feeds.items()}
        with pytest.raises(PortgradError):
            _session(net).run(feeds)
