"""Every row whose forward pass onnxruntime runs in float16 has its gradient there too.

onnxruntime has fewer kernels for float16, and registers some that refuse when they run.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.engine.sessions import Session, Weights
from portgrad.errors import PortgradError
from rules.test_rule_table import SMOOTH
from support.double import Arrays
from support.rig import Case, Row, case

# 2^-11 for each of a few dozen roundings.
TOLERANCE = 2e-2


def _run(net: ir.Model, feeds: Arrays) -> list[np.ndarray]:
    return list(Session(net, Weights(net), threads=1).run(feeds).values())


def _runs(half: Case) -> bool:
    try:
        _run(ir.from_proto(half.forward()), half.feeds)
    except PortgradError:
        return False
    return True


def _as_inputs(arrays: Arrays, model: onnx.ModelProto) -> Arrays:
    kinds = {v.name: v.type.tensor_type.elem_type for v in model.graph.input}
    dtypes = {n: onnx.helper.tensor_dtype_to_np_dtype(kind) for n, kind in kinds.items()}
    return {n: x.astype(dtypes[n]) for n, x in arrays.items()}


@pytest.mark.parametrize("row", SMOOTH, ids=str)
def test_gradients_in_float16(row: Row) -> None:
    half, exact = case(row, np.float16), case(row, row.dtype)
    if not _runs(half):
        pytest.skip("onnxruntime has no forward pass of it in float16")
    graph = gradient_graph(ir.from_proto(half.model), wrt=half.wrt, of=half.of, seeds=half.of)
    seeds = exact.seeds(exact.run_forward())
    given = _as_inputs({**half.feeds, **seeds}, ir.to_proto(graph.model))
    got = _run(graph.model, given)
    wide = exact.gradient()
    rounded = Case(
        exact.model, _as_inputs(half.feeds, exact.model), exact.wrt, exact.of, row.engine
    )
    want = rounded.run_gradient(_as_inputs({n: given[n] for n in seeds}, wide))
    for a, b in zip(want, got, strict=True):
        assert b.dtype == np.float16
        atol = TOLERANCE * (1.0 + float(np.max(np.abs(a), initial=0.0)))
        np.testing.assert_allclose(b.astype(np.float64), a, rtol=TOLERANCE, atol=atol)
