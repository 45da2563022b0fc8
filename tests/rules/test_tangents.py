"""Tangents through rows of the rule table: the adjoint of the gradient, and differences.

Each operator is proven on one row here, the k-th operator on its k-th row, round and round, so that
all kinds of rows have their turn. `make test-long` takes every row.
"""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import jvp_graph
from rules.rows import families
from support.double import Arrays, directional, runner
from support.rig import Case, Row, case

# Sums of products in another order, of a double and of a float.
ROUNDING = {np.float64: 1e-11, np.float32: 5e-5}
# onnxruntime multiplies by 1 / n, rounded to float, in an inverse transform of doubles.
COARSE = {"DFT": 3e-8, "STFT": 3e-8}
# It cuts by Pad, which the reference does not, and onnxruntime computes something else.
LEFT_OUT = {"DFT-real-from-too-many"}


def rows() -> list[Row]:
    by_operator: dict[tuple[str, str], list[Row]] = {}
    for row in (row for rows in families().values() for row in rows):
        if row.expected is None and str(row) not in LEFT_OUT:
            by_operator.setdefault((row.domain, row.op), []).append(row)
    if os.environ.get("PORTGRAD_ALL_ROWS"):
        return [row for found in by_operator.values() for row in found]
    return [found[k % len(found)] for k, found in enumerate(by_operator.values())]


def jvp(which: Case, tangents: Arrays) -> list[np.ndarray]:
    """How the outputs of a case move along tangents of its targets."""
    graph = jvp_graph(ir.from_proto(which.model), tangents=which.wrt, of=which.of)
    proto = ir.to_proto(graph.model)
    ports = (*proto.graph.input, *proto.graph.output)
    if all(port.type.tensor_type.HasField("shape") for port in ports):
        onnx.checker.check_model(proto, full_check=True)
    feeds = {f"tangent/{name}": tangent for name, tangent in tangents.items()}
    return runner(proto, engine=which.engine)({**which.feeds, **feeds})


@pytest.mark.parametrize("row", rows(), ids=str)
def test_tangents_are_adjoint_to_gradients_and_are_differences(row: Row) -> None:
    which, rng = case(row, row.dtype), np.random.default_rng(11)
    forward = runner(which.forward(), engine=which.engine)
    seeds = which.seeds(forward(which.feeds))
    v = {n: rng.standard_normal(which.feeds[n].shape).astype(row.dtype) for n in which.wrt}
    gradients, pushed = which.run_gradient(seeds), jvp(which, v)
    along = sum(np.vdot(g.astype(float), v[n]) for n, g in zip(which.wrt, gradients, strict=True))
    exact = 0.0
    for seed, output, tangent in zip(seeds.values(), forward(which.feeds), pushed, strict=True):
        assert (tangent.shape, tangent.dtype) == (output.shape, output.dtype)
        exact += float(np.vdot(seed.astype(float), tangent))
    products = zip(which.wrt, gradients, strict=True)
    scale = 1.0 + sum(float(np.linalg.norm(g) * np.linalg.norm(v[n])) for n, g in products)
    assert abs(exact - along) <= COARSE.get(row.op, ROUNDING[row.dtype]) * scale
    single = [{name: tangent} for name, tangent in v.items()]
    ways = single if row.dtype is np.float32 else [v]  # a long step is good for one operand
    given = list(seeds.values())
    numeric = sum(directional(forward, which.feeds, given, way, row.step) for way in ways)
    assert abs(exact - numeric) <= row.tolerance() * scale
