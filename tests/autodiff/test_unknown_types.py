"""Values of unknown type, as after an operator of which onnx infers nothing.

A gradient through one would be lost without a word if it were taken for a value that is no float.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from portgrad.autodiff import gradient_graph, obstacles
from portgrad.errors import Unsupported

X = np.array([[0.1, 0.2], [0.3, 0.5]], np.float32)


class Typeless(OpRun):
    op_domain = "other"

    def _run(self, x):  # type: ignore[no-untyped-def]
        return (x,)


def load(nodes: str) -> ir.Model:
    text = f"""<ir_version: 10, opset_import: ["" : 21, "other" : 1]>
    net (float[2,2] x) => (float[A,B] y) <float[2,2] w = {{1,2,3,4}}> {{ {nodes} }}"""
    return ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))


ON_THE_PATH = [
    ("c = other.Typeless(x) y = Tanh(c)", "c"),
    ("b = Tanh(x) c = other.Typeless(b) d = Tanh(c) y = Mul(d, d)", "c"),
    ("[act] c = other.Typeless(x) y = Add(c, x)", "act"),
]


@pytest.mark.parametrize(("nodes", "where"), ON_THE_PATH)
def test_no_gradient_is_lost_on_the_way(nodes: str, where: str) -> None:
    net = load(nodes)
    assert "x" in obstacles(net)
    with pytest.raises(Unsupported) as caught:
        gradient_graph(net, wrt=["x"], of=["y"])
    assert caught.value.where == where
    assert caught.value.found == "other.Typeless"


BESIDE_THE_PATH = [
    "c = other.Typeless(w) y = Mul(c, x)",
    "c = other.Typeless(w) d = Tanh(c) y = Mul(x, d)",
    "c = other.Typeless(w) y = Concat<axis = 0>(x, c)",
]


@pytest.mark.parametrize("nodes", BESIDE_THE_PATH)
def test_a_rule_that_needs_the_type_says_so(nodes: str) -> None:
    with pytest.raises(Unsupported, match=r"the type of '[cd]' is not known"):
        gradient_graph(load(nodes), wrt=["x"], of=["y"])


AWAY_FROM_THE_PATH = [
    "c = other.Typeless(x) i = ArgMax<axis = 1>(c) j = Cast<to = 1>(i) y = Add(x, j)",
    "c = other.Typeless(x) d = Tanh(c) y = Identity(x)",
]


@pytest.mark.parametrize("nodes", AWAY_FROM_THE_PATH)
def test_where_no_gradient_flows_the_type_does_not_matter(nodes: str) -> None:
    graph = gradient_graph(load(nodes), wrt=["x"], of=["y"])
    evaluator = ReferenceEvaluator(ir.to_proto(graph.model), new_ops=[Typeless])
    [gradient] = evaluator.run(None, {"x": X})
    np.testing.assert_array_equal(gradient, np.ones_like(X))
