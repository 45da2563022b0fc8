"""The bodies of the runtime's own operators compute what the runtime's kernels compute."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff.bodies import expand, has_body
from rules.test_rule_table import ROWS
from support.double import runner
from support.rig import Row, case

CONTRIB = [row for row in ROWS if row.domain == "com.microsoft"]
# Sums of a few dozen products of order one, in another order.
TOLERANCE = 1e-5


def expanded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model with its nodes replaced by their bodies."""
    net = ir.from_proto(model)
    expand(net, [node for node in net.graph if has_body(node, dict(net.graph.opset_imports))])
    return ir.to_proto(net)


@pytest.mark.parametrize("row", CONTRIB, ids=str)
@pytest.mark.parametrize("symbolic", [False, True])
def test_a_body_computes_what_the_kernel_does(row: Row, symbolic: bool) -> None:
    which = case(row, np.float32, symbolic=symbolic)
    forward = which.model  # with all outputs, integers too
    want = runner(forward, engine="onnxruntime")(which.feeds)
    got = runner(expanded(forward), engine="onnxruntime")(which.feeds)
    for a, b in zip(want, got, strict=True):
        assert b.dtype == a.dtype
        np.testing.assert_allclose(b, a, rtol=TOLERANCE, atol=TOLERANCE)
