"""Every row has its gradient in each dtype that its operator takes, where it has kernels there.

onnxruntime has fewer kernels for float16 than for float32, very few for bfloat16, and registers
some that refuse when they run. In float64 every row runs that runs at all: see `doubles`.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights
from portgrad.errors import PortgradError
from rules.test_rule_table import DOUBLE, NOWHERE, SMOOTH
from support.double import Arrays
from support.rig import Case, Row, case

# 2^-11 and 2^-8 for each of a few dozen roundings.
TOLERANCE = {np.float16: 2e-2, ml_dtypes.bfloat16: 1e-1}
# Rows whose operator, or what the engine says it in, has no kernel on x86-64. Another machine may
# have one; every row that is not here runs on all.
NO_KERNEL = {
    np.float16: set(
        "SwiGLU SwiGLU-alpha LinearAttentionGate-decay LinearAttentionGate-both "
        "MoEGroupRouter-experts MoEGroupRouter-groups MoEGroupRouter-scores "
        "MoEGroupRouter-projected QMoE-router QMoE-router-normalised LinearAttention-ms-gated "
        "LinearAttention-ms-by-size LinearAttention-ms-shared-queries "
        "LinearAttention-ms-shared-queries-alone GatedDeltaNet-packed GatedDeltaNet-stack-state "
        "GatedDeltaNet-linear GatedDeltaNet-gated GatedDeltaNet-delta GatedDeltaNet-normal "
        "GatedDeltaNet-softplus GatedDeltaNet-kda GatedDeltaNet-kda-flat GatedDeltaNet-one-tensor "
        "UnfoldTensor-last UnfoldTensor-middle Einsum-empty TopK-no-indices Range Range-down "
        "Range-empty RoiAlign-newest Celu-alpha".split()
    ),
    ml_dtypes.bfloat16: set(
        "SwiGLU SwiGLU-alpha QMoE-2 QMoE-4 QMoE-8 QMoE-2-blocks QMoE-4-blocks QMoE-8-blocks "
        "QMoE-4-zero-points QMoE-2-blocks-zero-points UnfoldTensor-last UnfoldTensor-middle "
        "Einsum-empty TopK-no-indices RoiAlign-newest".split()
    ),
}
NO_BODY = {("CausalConvWithState", ml_dtypes.bfloat16)}  # an operator of its body takes none


def _takes(row: Row, dtype: type) -> bool:
    """Whether the operator takes a dtype, if only in its newest version: rules are the same."""
    kind = f"tensor({np.dtype(dtype).name})"
    operands = onnx.defs.get_schema(row.op, domain=row.domain).inputs
    return any(kind in one.types for one in operands) and (row.op, dtype) not in NO_BODY


HALVES = [
    pytest.param(row, dtype, id=f"{row}-{np.dtype(dtype).name}")
    for dtype in TOLERANCE
    for row in SMOOTH
    if _takes(row, dtype)
]


def _run(net: ir.Model, feeds: Arrays) -> list[np.ndarray]:
    return Session(net, Weights(net), threads=1).run(feeds)


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


def _by_engine(which: Case, seeds: Arrays) -> list[np.ndarray]:
    graph = gradient_graph(ir.from_proto(which.model), wrt=which.wrt, of=which.of, seeds=which.of)
    return _run(graph.model, _as_inputs({**which.feeds, **seeds}, ir.to_proto(graph.model)))


@pytest.mark.parametrize(("row", "dtype"), HALVES)
def test_gradients_in_half_precision(row: Row, dtype: type) -> None:
    half, exact = case(row, dtype), case(row, row.dtype)
    if str(row) in NO_KERNEL[dtype] and not _runs(half):
        pytest.skip(f"onnxruntime has no kernel of it in {np.dtype(dtype).name}")
    feeds = _as_inputs(half.feeds, exact.model)  # what the halves are, in full precision
    seeds = {n: x.astype(dtype) for n, x in exact.seeds(exact.run_forward()).items()}
    rounded = Case(exact.model, feeds, exact.wrt, exact.of, row.engine)
    want = rounded.run_gradient(_as_inputs(seeds, exact.gradient()))
    tolerance = TOLERANCE[dtype]
    for a, b in zip(want, _by_engine(half, seeds), strict=True):
        assert b.dtype == dtype
        atol = tolerance * (1.0 + float(np.max(np.abs(a), initial=0.0)))
        np.testing.assert_allclose(b.astype(np.float64), a, rtol=tolerance, atol=atol)


@pytest.mark.parametrize("row", [row for row in DOUBLE if str(row) not in NOWHERE], ids=str)
def test_gradients_in_float64(row: Row) -> None:
    exact = case(row)
    seeds = exact.seeds(exact.run_forward())
    for a, b in zip(exact.run_gradient(seeds), _by_engine(exact, seeds), strict=True):
        assert b.dtype == np.float64
        # Sums in another order where the two are not the same kernels.
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)


def test_rows_without_kernels_are_known() -> None:
    assert set().union(*NO_KERNEL.values()) <= {str(row) for row in SMOOTH}
