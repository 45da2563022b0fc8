"""Sizes that Reshapes leave open are told by the ports, so that no large value is kept for them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.autodiff.symbols import credible, told_by_ports
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.rig import ADJOINT, STEP, Case, check_adjoint

HEADS = """(double[N,4,6] x, double[6] b) => (double[N,4,6] y) {
    apart = Constant<value = int64[4] {-1, 4, 2, 3}>() rows = Constant<value = int64[2] {-1, 6}>()
    flat = Constant<value = int64[3] {-1, 4, 3}>() back = Constant<value = int64[4] {-1, 2, 4, 3}>()
    whole = Constant<value = int64[3] {-1, 4, 6}>()
    h = Reshape(x, apart) q = Transpose<perm = [0, 2, 1, 3]>(h) f = Reshape(q, flat)
    g = Reshape(f, back) k = Transpose<perm = [0, 1, 3, 2]>(g) s = MatMul(q, k)
    p = Softmax<axis = -1>(s) c = MatMul(p, q) j = Transpose<perm = [0, 2, 1, 3]>(c)
    r = Reshape(j, rows) t = Add(r, b) u = Tanh(t) y = Reshape(u, whole)
}"""
COUNTED = """(double[N,3] x) => (double[N,3] y) {
    start = Constant<value = int64 {0}>() one = Constant<value = int64 {1}>()
    none = Constant<value = int64[1] {0}>() last = Constant<value = int64[1] {1}>()
    n = Shape<start = 0, end = 1>(x) m = Squeeze(n, none) i = Range(start, m, one)
    d = Cast<to = 11>(i) c = Unsqueeze(d, last) y = Mul(x, c)
}"""


def _net(text: str) -> ir.Model:
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    return load(NetFiles(proto.SerializeToString()))


@pytest.mark.parametrize("text", [HEADS, COUNTED])
def test_open_sizes_are_told(text: str) -> None:
    graph = _net(text).clone().graph
    known = told_by_ports(graph, list(graph.inputs))
    values = [v for node in graph for v in node.outputs if node.op_type != "Constant"]
    sizes = {str(v.name): [d if isinstance(d, int) else d.value for d in v.shape] for v in values}
    told = {name: [known.of(d) or d for d in dims] for name, dims in sizes.items()}
    if text == COUNTED:
        assert told["y"] == [(1, "N"), 3]
        return
    assert (told["f"], told["r"]) == ([(2, "N"), 4, 3], [(4, "N"), 6])
    assert (told["s"], told["y"]) == ([(1, "N"), 2, 4, 4], [(1, "N"), 4, 6])


@pytest.mark.parametrize("text", [HEADS, COUNTED])
def test_gradients_ask_ports_alone_for_sizes(text: str) -> None:
    model = _net(text)
    wrt = [str(port.name) for port in model.graph.inputs]
    made = gradient_graph(model, wrt=wrt, of=["y"], seeds=["y"]).model.graph
    asked = {str(node.inputs[0].name) for node in made if node.op_type == "Shape"}  # type: ignore[union-attr]
    assert asked <= {"x", "y", "seed/y"}  # what is imposed broadcasts to the output
    rng = np.random.default_rng(0)
    feeds = {"x": rng.standard_normal((3, 4, 6) if text == HEADS else (3, 3))}
    feeds |= {"b": rng.standard_normal(6)} if text == HEADS else {}
    case = Case(ir.to_proto(model), feeds, tuple(feeds), ("y",))
    check_adjoint(case, step=STEP, tolerance=ADJOINT)


def test_a_seed_tells_no_size() -> None:
    text = "(double[N] x) => (double[M] y) { i = NonZero(x) t = Transpose(i) y = GatherND(x, t) }"
    made = gradient_graph(_net(text), wrt=["x"], of=["y"], seeds=["y"]).model.graph
    asked = {str(node.inputs[0].name) for node in made if node.op_type == "Shape"}  # type: ignore[union-attr]
    assert "y" in asked


NODES = {
    "Tanh(x)": True,
    'Einsum<equation = "ij,kj->ik">(x, x)': True,
    'Einsum<equation = "...j,kj->...k">(x, x)': False,
    "com.microsoft.QuickGelu(x)": False,
}


@pytest.mark.parametrize(("node", "believed"), NODES.items())
def test_which_nets_symbols_are_believed(node: str, believed: bool) -> None:
    text = '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]> net'
    proto = onnx.parser.parse_model(f"{text} (float[N,3] x) => (float[a,b] y) {{ y = {node} }}")
    assert credible(ir.from_proto(proto).graph) is believed
