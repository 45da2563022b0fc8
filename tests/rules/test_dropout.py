"""Dropout in training: the gradient goes where the mask of the same run let the data through."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import parser

from portgrad.autodiff import gradient_graph
from support.double import runner

_X = np.linspace(1.0, 2.0, 64, dtype=np.float32)
_SEED = np.linspace(0.5, 1.5, 64, dtype=np.float32)


@pytest.mark.parametrize(
    ("operands", "ratio"),
    [("x, , yes", 0.5), ("x, quarter, yes", 0.25), ("x, ratio, training", 0.125)],
    ids=["default", "fixed", "run-time"],
)
@pytest.mark.parametrize("outputs", ["y", "y, mask"])
def test_gradient_has_the_mask_of_its_own_run(operands: str, ratio: float, outputs: str) -> None:
    net = parser.parse_model(
        f"""<ir_version: 10, opset_import: ["": 21]>
        net (float[N] x, float ratio, bool training) => (float[N] y)
        <bool yes = {{1}}, float quarter = {{0.25}}> {{ {outputs} = Dropout({operands}) }}"""
    )
    net = onnx.shape_inference.infer_shapes(net, strict_mode=True)
    graph = gradient_graph(ir.from_proto(net), wrt=["x"], of=["y"], seeds=["y"], outputs=["y"])
    run = runner(ir.to_proto(graph.model), engine="onnxruntime")
    feeds = {"x": _X, "ratio": np.float32(ratio), "training": np.array(True), "seed/y": _SEED}
    used = {value.name for value in graph.model.graph.inputs}
    y, gradient = run({name: np.asarray(x) for name, x in feeds.items() if name in used})
    assert 0 < np.count_nonzero(y) < y.size
    np.testing.assert_array_equal(gradient, np.where(y != 0, _SEED / (1 - np.float32(ratio)), 0))
