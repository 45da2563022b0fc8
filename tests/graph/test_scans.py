"""Scan of opset 8, with its batch axis, means the same after it is brought to the working opset."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from portgrad.errors import InvalidNet
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.double import Arrays
from support.rig import Case, check_adjoint

RNG = np.random.default_rng(3)
H = RNG.standard_normal((2, 3)).astype(np.float32)
X = RNG.standard_normal((2, 5, 3)).astype(np.float32)
W = RNG.standard_normal((3, 3)).astype(np.float32)
PORTS = "float[2, 3] h, float[2, 5, 3] x, float[3, 3] w"
STEP = """(float[3] a, float[3] b) => (float[3] c, float[3] d) {
    r = Unsqueeze<axes = [0]>(a)
    m = MatMul(r, w)
    n = Squeeze<axes = [0]>(m)
    s = Add(n, b)
    c = Tanh(s)
    d = Mul(c, b)
}"""
BODIES = {
    "forward": f'y, z = Scan <num_scan_inputs = 1, body = g {STEP}> ("", h, x)',
    "from the end": f"""y, z = Scan <num_scan_inputs = 1, directions = [1], body = g {STEP}>
        ("", h, x)""",
    "both ways": """y, z = Scan <num_scan_inputs = 2, directions = [0, 1], body = g
        (float[3] a, float[3] b, float[3] e) => (float[3] c, float[1] d) {
            w1 = Constant<value = float[3] {0.5, -1.5, 2.0}>()
            s = Mul(a, e)
            c = Add(s, b)
            q = Mul(w1, c)
            d = ReduceSum<axes = [0], keepdims = 1>(q)
        }> ("", h, x, x)""",
    "nested": """y, z = Scan <num_scan_inputs = 1, body = g
        (float[3] a, float[3] b) => (float[3] c, float[3] d) {
            lead = Unsqueeze<axes = [0]>(a)
            rows = Unsqueeze<axes = [0]>(w)
            last, all = Scan <num_scan_inputs = 1, body = inner
                (float[3] p, float[3] q) => (float[3] r, float[3] t) {
                    u = Mul(p, q)
                    r = Tanh(u)
                    t = Add(r, b)
                }> ("", lead, rows)
            c = Squeeze<axes = [0]>(last)
            d = ReduceSum<axes = [0, 1], keepdims = 0>(all)
        }> ("", h, x)""",
}


def _model(body: str, ports: str = PORTS) -> onnx.ModelProto:
    head = '<ir_version: 3, opset_import: ["": 8]>'
    outputs = "float[A, B] y, float[A, C, D] z"
    return onnx.parser.parse_model(f"{head} net ({ports}) => ({outputs}) {{ {body} }}")


def _run(model: onnx.ModelProto, feeds: Arrays) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


@pytest.mark.parametrize("name", BODIES)
def test_it_means_the_same(name: str) -> None:
    old, feeds = _model(BODIES[name]), {"h": H, "x": X, "w": W}
    new = ir.to_proto(load(NetFiles(old.SerializeToString())))
    for theirs, ours in zip(_run(old, feeds), _run(new, feeds), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6)  # a few roundings


@pytest.mark.parametrize("name", BODIES)
def test_its_gradient(name: str) -> None:
    net = ir.to_proto(load(NetFiles(_model(BODIES[name]).SerializeToString())))
    wrt = ("h", "x") if name == "both ways" else ("h", "x", "w")
    case = Case(net, {"h": H, "x": X, "w": W}, wrt, ("y", "z"))
    # float32: h² with h = 0.01 and rounding of 1e-7 / h, by third derivatives.
    check_adjoint(case, step=1e-2, tolerance=2e-3)


def test_a_name_in_the_net_stays_its_own() -> None:
    old = _model(BODIES["forward"].replace("y, z", "[the_node] y, z"))
    net = load(NetFiles(old.SerializeToString()))
    assert [node.name for node in net.graph].count("the_node") == 1
    assert [value.name for value in net.graph.outputs] == ["y", "z"]


def test_lengths_are_refused() -> None:
    ports = f"int64[2] lengths, {PORTS}"
    body = f"[bad] y, z = Scan <num_scan_inputs = 1, body = g {STEP}> (lengths, h, x)"
    with pytest.raises(InvalidNet, match="lengths") as caught:
        load(NetFiles(_model(body, ports).SerializeToString()))
    assert caught.value.code == "unsupported_opset"
