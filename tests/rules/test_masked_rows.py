"""A softmax over nothing but minus infinity, whose NaN the net replaces, has gradient 0."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import runner

# As torch's exporter writes scaled_dot_product_attention, and with a mask of rows.
REPLACED = [
    "n = IsNaN(s) y = Where(n, zero, s)",
    "c = Cast<to = 11>(s) d = Cast<to = 1>(c) n = IsNaN(d) y = Where(n, zero, d)",
    "low = Log(zero) top = ReduceMax(x, last) n = Equal(top, low) y = Where(n, zero, s)",
]


@pytest.mark.parametrize("text", REPLACED)
def test_gradient_of_masked_rows(text: str) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 21]> net (float[2, 3] x) => (float[2, 3] y)'
        "<float zero = {0}, int64[1] last = {-1}> { s = Softmax(x) " + text + "}"
    )
    net = load(NetFiles(model.SerializeToString()))
    proto = ir.to_proto(gradient_graph(net, wrt=["x"], of=["y"], seeds=["y"]).model)
    x = np.array([[0.0, 1.0, -np.inf], [-np.inf] * 3], np.float32)
    seed = np.array([[1.0, 3.0, 2.0], [5.0, 7.0, 6.0]], np.float32)
    [got] = runner(proto, engine="onnxruntime")({"x": x, "seed/y": seed})
    p = 1.0 / (1.0 + np.e)  # of the first element; the second has the rest
    slope = 2.0 * p * (1.0 - p)
    want = np.array([[-slope, slope, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)  # a few roundings of 6e-8
