"""Branches, loops, sequences and optionals in double precision: nets that are written in float32,
made double, against the same nets written in float64.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from autodiff import test_control_flow, test_growing_loops
from autodiff.test_control_flow import Net
from portgrad.autodiff import doubled, gradient_graph
from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

_PORTS = "double[k] x, double[k, k] w, int64 n"
GROWING = [Net(str(net), _PORTS, net.body, net.case().feeds) for net in test_growing_loops.NETS]
NETS: list[Net] = [*test_control_flow.NETS, *GROWING]


def _gradients(net: Net, written: str) -> dict[str, np.ndarray]:
    head = f'<ir_version: 10, opset_import: ["": 21]> net ({net.ports}) => (double y)'
    text = f"{head} {{ {net.body} }}"
    if written == "float":
        text = text.replace("double", "float").replace("dtype = 11", "dtype = 1")
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    wide = doubled(load(NetFiles(model.SerializeToString())))
    assert ir.DataType.FLOAT not in {v.dtype for n in wide.graph.all_nodes() for v in n.outputs}
    wrt = tuple(name for name, x in net.feeds.items() if x.dtype == np.float64)
    graph = gradient_graph(wide, wrt=wrt, of=["y"], outputs=["y"]).model
    found = Session(graph, Weights(graph), threads=1).run(net.feeds)
    return {str(v.name): array for v, array in zip(graph.graph.outputs, found, strict=True)}


@pytest.mark.parametrize("net", NETS, ids=str)
def test_written_in_either_precision(net: Net) -> None:
    want, got = _gradients(net, "double"), _gradients(net, "float")
    for name, array in want.items():
        assert got[name].dtype == np.float64
        # Constants of the text, such as 0.3, are those of float32.
        np.testing.assert_allclose(got[name], array, rtol=1e-6, atol=1e-6)
