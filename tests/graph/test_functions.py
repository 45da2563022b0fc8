"""Model-local functions are inlined to any depth, and names of the graph survive it."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from portgrad.errors import InvalidNet
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

NET = "(float[N, 3] x) => (float[N, 3] y) { [first] h = f.Double(x) [second] y = f.Twice(h) }"
DOUBLE = """
<domain: "f", opset_import: ["" : 17]> Double (a) => (b) { [sum] b = Add(a, a) }
"""
TWICE = """
<domain: "f", opset_import: ["" : 17, "f" : 1]> Twice (a) => (c) { b = f.Double(a) c = f.Double(b) }
"""


def model(graph: str, *functions: str, opset: int = 17) -> onnx.ModelProto:
    header = f'<ir_version: 8, opset_import: ["" : {opset}, "f" : 1]> net '
    return onnx.parser.parse_model(header + graph + "".join(functions))


def loaded(proto: onnx.ModelProto) -> ir.Model:
    return load(NetFiles(proto.SerializeToString()))


def refusal(proto: onnx.ModelProto) -> InvalidNet:
    with pytest.raises(InvalidNet) as caught:
        loaded(proto)
    return caught.value


def run(net: ir.Model, x: np.ndarray) -> np.ndarray:
    proto = ir.to_proto(net).SerializeToString()
    session = ort.InferenceSession(proto, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def test_functions_that_call_functions() -> None:
    net = loaded(model(NET, DOUBLE, TWICE))
    assert not net.functions
    assert {node.op_type for node in net.graph} == {"Add"}
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(run(net, x), 8 * x)


def test_names_of_the_graph_survive() -> None:
    net = loaded(model(NET, DOUBLE, TWICE))
    values = [value.name for node in net.graph for value in node.outputs]
    assert {"h", "y"} <= set(values)
    assert len(set(values)) == len(values)


def test_attributes_reach_the_body() -> None:
    scaled = """
    <domain: "f", opset_import: ["" : 17]> Leaky <alpha: float = 0.5> (a) => (b) {
      b = LeakyRelu<alpha: float = @alpha>(a)
    }"""
    graph = "(float[2] x) => (float[2] y) { h = f.Leaky(x) y = f.Leaky<alpha = 0.25>(h) }"
    x = np.array([-1, 1], np.float32)
    np.testing.assert_array_equal(run(loaded(model(graph, scaled)), x), np.float32([-0.125, 1]))


def test_functions_inside_subgraphs() -> None:
    graph = """(float[3] x, bool c) => (float[3] y) {
      y = If(c) <
        then_branch = t () => (float[3] p) { p = f.Double(x) },
        else_branch = e () => (float[3] q) { q = Neg(x) }
      >
    }"""
    net = loaded(model(graph, DOUBLE))
    assert {node.op_type for node in net.graph.all_nodes()} == {"If", "Add", "Neg"}


def test_an_opset_of_its_own_that_changes_nothing_is_fine() -> None:
    assert loaded(model(NET, DOUBLE, TWICE, opset=18)).opset_imports[""] == 21


def test_an_opset_of_its_own_that_changes_an_operator_is_refused() -> None:
    total = """
    <domain: "f", opset_import: ["" : 12]> Total (a) => (b) { [t] b = ReduceSum<axes = [0]>(a) }
    """
    graph = "(float[2] x) => (float[K] y) { y = f.Total(x) }"
    error = refusal(model(graph, total))
    assert error.code == "unsupported_opset"
    assert error.where == "node `t` (ReduceSum) of the function `Total`"


def test_recursion_is_refused() -> None:
    one = '<domain: "f", opset_import: ["f" : 1]> Double (a) => (b) { b = f.Twice(a) }'
    error = refusal(model(NET, one, TWICE))
    assert error.code == "recursive_function"
    assert error.where == "`Double`, `Twice`"


def test_an_unknown_operator_inside_a_function_is_named() -> None:
    odd = '<domain: "f", opset_import: ["" : 17]> Double (a) => (b) { [odd] b = Dbl(a) }'
    error = refusal(model(NET, odd, TWICE))
    assert error.code == "unknown_operator"
    assert error.where == "node `odd` (Dbl)"
