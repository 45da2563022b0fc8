"""Where onnx infers a wrong size of an operator with a body, the body is believed."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.rig import ADJOINT, STEP, Case, check_adjoint

# onnx infers that the scores have 0 columns, where the values have symbolic sizes.
SCORES = """(double[1, 2, 2, 4] q, double[1, 2, 3, 4] k, double[A, B, C, D] v)
    => (double p, double y) {
    y, "", "", p = Attention (q, k, v)
}"""


def test_scores_of_an_attention_with_symbolic_values() -> None:

    net = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 24]> net {SCORES}')
    for port in net.graph.output:
        port.type.tensor_type.ClearField("shape")
    rng = np.random.default_rng(3)
    shapes = {"q": (1, 2, 2, 4), "k": (1, 2, 3, 4), "v": (1, 2, 3, 3)}
    feeds = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    model = ir.to_proto(load(NetFiles(net.SerializeToString())))
    check_adjoint(Case(model, feeds, tuple(feeds), ("y", "p")), step=STEP, tolerance=ADJOINT)
