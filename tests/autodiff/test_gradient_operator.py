"""ONNX's operator Gradient: its test cases, what it means at other values, what is malformed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import portgrad
from portgrad.errors import InvalidNet, PortgradError
from support.engine import random

Array = np.ndarray[Any, Any]
DOMAIN = "ai.onnx.preview.training"
CASES = sorted((Path(onnx.__file__).parent / "backend/test/data/simple").glob("test_gradient_*"))


def _bytes(body: str, weights: dict[str, Array] | None = None, opset: int = 21) -> bytes:
    """A net as text, in which `D` is the operator's domain."""
    imports = f'"" : {opset}, "{DOMAIN}" : 1, "com.microsoft" : 1'
    text = f"<ir_version: 8, opset_import: [{imports}]> net {body}".replace("D.", f"{DOMAIN}.")
    model = onnx.parser.parse_model(text)
    held = (weights or {}).items()
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in held)
    return model.SerializeToString()


def _load(body: str, **more: Any) -> portgrad.Net:
    return portgrad.load(_bytes(body, **more), threads=1)


def _tensor(path: Path) -> Array:
    return numpy_helper.to_array(onnx.load_tensor(path))


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_the_cases_of_onnx(folder: Path) -> None:
    net = portgrad.load(folder / "model.onnx")
    data = [_tensor(path) for path in sorted(folder.glob("test_data_set_0/input_*"))]
    want = [_tensor(path) for path in sorted(folder.glob("test_data_set_0/output_*"))]
    found = net.evaluate(dict(zip(net.names.inputs, data, strict=True)))
    for array, expected in zip(found.values(), want, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_onnx_has_these_cases() -> None:
    assert [folder.name for folder in CASES] == [
        "test_gradient_of_add",
        "test_gradient_of_add_and_mul",
    ]


# -- what it means ---------------------------------------------------------------------------------

X, W, Z = random(3, 4), random(4, 2, seed=1), random(2, seed=2)
ONES = np.ones((3, 2), np.float32)
HIDDEN = "(float[N, 4] x, float[4, 2] w, float[2] z{more}) => ({outputs}) {{ {nodes} }}"
NODES = "h = MatMul(x, w) t = Tanh(h) y = Mul(t, z) "


def _net(nodes: str, outputs: str, more: str = "") -> str:
    return HIDDEN.format(more=more, outputs=outputs, nodes=NODES + nodes)


def _slope(h: Array) -> Array:
    return np.asarray(Z * (1 - np.tanh(h) ** 2))


ROWS: dict[str, tuple[str, dict[str, Array], Callable[[], dict[str, Array]]]] = {
    "of a sum with respect to inputs": (
        _net('gx, gw = D.Gradient <xs = ["x", "w"], zs = ["z"], y = "y"> (x, w, z)',
             "float[N, 4] gx, float[4, 2] gw"),
        {},
        lambda: {"gx": _slope(X @ W) @ W.T, "gw": X.T @ _slope(X @ W)},
    ),
    "with respect to what is computed": (
        _net('gh, gz = D.Gradient <xs = ["h", "z"], y = "y"> (h, z)',
             "float[N, 2] gh, float[2] gz"),
        {},
        lambda: {"gh": _slope(X @ W), "gz": np.tanh(X @ W).sum(0)},
    ),
    "at another value": (
        _net('gh = D.Gradient <xs = ["h"], zs = ["z"], y = "y"> (other, z)',
             "float[N, 2] gh, float[N, 2] y", ", float[N, 2] other"),
        {"other": random(3, 2, seed=5)},
        lambda: {"gh": _slope(random(3, 2, seed=5)), "y": np.tanh(X @ W) * Z},
    ),
    "at another value of another size": (
        _net('gx = D.Gradient <xs = ["x"], y = "y"> (other)',
             "float[K, 4] gx", ", float[K, 4] other"),
        {"other": random(5, 4, seed=5)},
        lambda: {"gx": _slope(random(5, 4, seed=5) @ W) @ W.T},
    ),
    "some outputs left out": (
        _net(', gz = D.Gradient <xs = ["h", "z"], y = "y"> (h, z)', "float[2] gz"),
        {},
        lambda: {"gz": np.tanh(X @ W).sum(0)},
    ),
    "what y does not depend on": (
        _net('gx, gs = D.Gradient <xs = ["x", "spare"], y = "y"> (x, spare)',
             "float[N, 4] gx, float[7] gs", ", float[7] spare"),
        {"spare": random(7)},
        lambda: {"gx": _slope(X @ W) @ W.T, "gs": np.zeros(7, np.float32)},
    ),
    "y itself": (
        _net('g = D.Gradient <xs = ["y"], y = "y"> (y)', "float[N, 2] g"),
        {},
        lambda: {"g": ONES},
    ),
    "before y is computed": (
        HIDDEN.format(
            more="", outputs="float[N, 4] g", nodes='gx = D.Gradient <xs = ["x"], y = "y"> (x) '
            "g = Neg(gx) " + NODES
        ),
        {},
        lambda: {"g": -_slope(X @ W) @ W.T},
    ),
    "two nodes of one name": (
        _net('[same] gz = D.Gradient <xs = ["z"], y = "y"> (z) '
             '[same] gh = D.Gradient <xs = ["h"], y = "y"> (h)', "float[2] gz, float[N, 2] gh"),
        {},
        lambda: {"gz": np.tanh(X @ W).sum(0), "gh": _slope(X @ W)},
    ),
    "second order": (
        _net('gh = D.Gradient <xs = ["h"], zs = ["z"], y = "y"> (h, z) '
             'hh, hz = D.Gradient <xs = ["h", "z"], y = "gh"> (h, z)',
             "float[N, 2] hh, float[2] hz"),
        {},
        lambda: {
            "hh": -2 * np.tanh(X @ W) * _slope(X @ W),
            "hz": (1 - np.tanh(X @ W) ** 2).sum(0),
        },
    ),
    "second order in front of first": (
        HIDDEN.format(
            more=", float[N, 2] at", outputs="float[N, 2] hh",
            nodes='hh = D.Gradient <xs = ["h"], y = "gh"> (at) ' + NODES
            + 'gh = D.Gradient <xs = ["h"], y = "y"> (h) ',
        ),
        {"at": random(3, 2, seed=6)},
        lambda: {"hh": -2 * np.tanh(h := random(3, 2, seed=6)) * _slope(h)},
    ),
    "through a branch and a loop": (
        """(float[N, 2] x, bool up, int64 trips) => (float[N, 2] g) {
          a = If(up) <then_branch = one () => (float[N, 2] p) { p = Exp(x) },
                      else_branch = two () => (float[N, 2] q) { q = Neg(x) }>
          y = Loop(trips, , a) <body = step (int64 i, bool c, float[N, 2] s)
            => (bool d, float[N, 2] t) { d = Identity(c) t = Mul(s, s) }>
          g = D.Gradient <xs = ["x"], y = "y"> (x) }""",
        {"x": 0.5 * random(2, 2), "up": np.array(True), "trips": np.array(2)},
        lambda: {"g": 4 * np.exp(4 * 0.5 * random(2, 2))},
    ),
    "through an operator of the runtime": (
        """(float[N, 2] x) => (float[N, 2] g) {
          y = com.microsoft.QuickGelu <alpha = 1.0> (x)
          g = D.Gradient <xs = ["x"], y = "y"> (x) }""",
        {"x": random(3, 2)},
        lambda: {"g": (s := 1 / (1 + np.exp(-(x := random(3, 2))))) * (1 + x * (1 - s))},
    ),
}  # fmt: skip


@pytest.mark.parametrize("opset", [12, 21])
@pytest.mark.parametrize("name", ROWS)
def test_what_it_means(name: str, opset: int) -> None:
    body, more, want = ROWS[name]
    net = _load(body, opset=opset)
    data = {"x": X, "w": W, "z": Z, **more}
    found = net.evaluate({port: data[port] for port in net.names.inputs})
    assert list(found) == list(want())
    for key, expected in want().items():
        # float32, sums of a few products of order one.
        np.testing.assert_allclose(found[key], expected, rtol=1e-5, atol=1e-5, err_msg=key)


# -- what surrounds it -----------------------------------------------------------------------------

TRAINED = """(float[N, 4] x) => (float[N, 2] y, float[4, 2] gw) {
  h = MatMul(x, w) t = Tanh(h) s = Mul(t, half) y = Mul(s, s)
  gw = D.Gradient <xs = ["w"], zs = ["x"], y = "y"> (w, x) }"""
WEIGHTS = {"w": W, "half": np.float32(0.5).reshape(())}


def test_parameters_are_those_of_the_file() -> None:
    """What is emitted holds constants, which are no parameters."""
    net = _load(TRAINED, weights=WEIGHTS)
    assert list(net.names.parameters) == ["w", "half"]
    found = net.gradient(X, wrt="w", of="y", outputs=["gw"])
    np.testing.assert_allclose(found.outputs["gw"], found["w"], rtol=1e-6)


def test_its_gradient_is_the_second_derivative() -> None:
    net = _load(TRAINED, weights=WEIGHTS)
    found = net.gradient(X, of="gw")["x"].astype(np.float64)
    step = 3e-3 * random(3, 4, seed=8)
    ahead, behind = (net.evaluate(X + d)["gw"].sum(dtype=np.float64) for d in (step, -step))
    # float32 sums of numbers of order one, and the square of a step of 0.003.
    assert (found * step).sum() == pytest.approx((ahead - behind) / 2, abs=5e-6)


def test_large_weights() -> None:
    """They are taken out of a net while it is normalised, and its nodes name them."""
    w = random(64, 32, seed=9)
    body = TRAINED.replace("N, 4", "N, 64").replace("4, 2", "64, 32").replace("N, 2", "N, 32")
    x = random(3, 64)
    found = _load(body, weights={**WEIGHTS, "w": w}).evaluate(x)["gw"]
    np.testing.assert_allclose(found, x.T @ (np.tanh(h := x @ w) * (1 - np.tanh(h) ** 2) / 2),
                               rtol=1e-4, atol=1e-5)  # fmt: skip


def test_names_that_look_like_emitted_ones() -> None:
    """The net has some outside of what is differentiated, where they seem to be free."""
    model = onnx.load_from_string(_bytes(TRAINED, WEIGHTS))
    names = [f"portgrad/{i}_constant" for i in range(9)]
    for name in names:
        model.graph.initializer.append(numpy_helper.from_array(np.full((), 7.0, np.float32), name))
    model.graph.node.append(helper.make_node("Sum", names, ["portgrad/2_Mul"], "portgrad/3_Mul"))
    model.graph.output.append(helper.make_tensor_value_info("portgrad/2_Mul", 1, []))
    found = portgrad.load(model.SerializeToString()).evaluate(X)
    assert found["portgrad/2_Mul"] == 63
    want = _load(TRAINED, weights=WEIGHTS).evaluate(X)["gw"]
    np.testing.assert_array_equal(found["gw"], want)


def test_a_gradient_that_is_zero_warns() -> None:
    net = _load("""(float[N] x) => (float[N] g) {
      r = Round(x) y = Mul(r, r) g = D.Gradient <xs = ["x"], y = "y"> (x) }""")
    assert any("Round" in warning for warning in net.description.warnings)


def test_it_becomes_a_file() -> None:
    file = _load(TRAINED, weights=WEIGHTS).export_gradient(wrt="w", outputs=True)
    made = onnx.load_from_string(file.to_bytes())
    assert {entry.domain for entry in made.opset_import} == {""}


# -- what is malformed -----------------------------------------------------------------------------

CALL = 'g = D.Gradient <xs = ["x"], zs = ["w", "z"], y = "y"> (x, w, z)'
MALFORMED = {
    CALL.replace('"y"', '"why"'): "`why`",
    CALL.replace('["x"]', '["ex"]'): "`ex`",
    CALL.replace('["w", "z"]', '["w", "zed"]'): "`zed`",
    CALL.replace('"z"]', '"x"]'): "stands twice",
    CALL.replace("(x, w, z)", "(x, w)"): "needs 3 operands",
    CALL.replace("(x, w, z)", "(x, , z)"): "stands for `w` is left out",
    CALL.replace("(x, w, z)", "(z, w, z)"): "none of its kind",
    CALL.replace("(x, w, z)", "(x, codes, z)"): "none of its kind",
    CALL.replace("g = D", "g, gw = D"): "at most 1 outputs",
    'g = D.Gradient <xs = ["x", "h"], y = "y"> (x, h)': "`h` is computed from `x`",
    'g = D.Gradient <xs = ["codes"], y = "y"> (codes)': "no gradient at `codes`",
    'n = ArgMax(x) g = D.Gradient <xs = ["x"], y = "n"> (x)': "no gradient at `n`",
    'g = D.Gradient <xs = ["x"], y = "g2"> (x) g2 = Mul(g, g)': "depends on what the node itself",
}


@pytest.mark.parametrize("nodes", MALFORMED)
def test_what_is_malformed(nodes: str) -> None:
    with pytest.raises(InvalidNet) as raised:
        _load(_net(f"[bad] {nodes}" if nodes.startswith("g") else nodes, "float[N, 2] y",
                   ", int64[N] codes"))  # fmt: skip
    assert raised.value.code == "invalid_gradient"
    assert MALFORMED[nodes] in str(raised.value)
    assert raised.value.where in {"node `bad` (Gradient)", "node `g` (Gradient)"}


INSIDE = """(float[N] x, bool up) => (float[N] g) { g = If(up) <
  then_branch = one () => (float[N] p) {
    y = Mul(x, x) [deep] p = D.Gradient <xs = ["x"], y = "y"> (x) },
  else_branch = two () => (float[N] q) { q = Neg(x) }> }"""


def test_inside_of_a_subgraph() -> None:
    with pytest.raises(InvalidNet, match="a subgraph of the node `g`") as raised:
        _load(INSIDE)
    assert (raised.value.code, "`deep`" in str(raised.value.where)) == ("invalid_gradient", True)


def test_inside_of_a_function() -> None:
    body = """(float[N] x) => (float[N] g) { g = own.slope(x) }
    <domain: "own", opset_import: ["" : 21, "ai.onnx.preview.training" : 1]>
    slope (x) => (p) { y = Mul(x, x) [deep] p = D.Gradient <xs = ["x"], y = "y"> (x) }"""
    imports = f'"" : 21, "{DOMAIN}" : 1, "own" : 1'
    whole = f"<ir_version: 8, opset_import: [{imports}]> net {body}".replace("D.", f"{DOMAIN}.")
    with pytest.raises(InvalidNet, match="the function `slope`") as raised:
        portgrad.load(onnx.parser.parse_model(whole).SerializeToString())
    assert raised.value.code == "invalid_gradient"


def test_an_operator_without_a_derivative_is_named() -> None:
    with pytest.raises(PortgradError) as raised:
        _load("""(float[N, 2, 2] x) => (float[N, 2, 2] g) {
          [cells] y = com.microsoft.DecoderMaskedMultiHeadAttention <num_heads = 2> (x)
          g = D.Gradient <xs = ["x"], y = "y"> (x) }""")
    assert raised.value.where == "cells"


@pytest.mark.parametrize("operator", ["Adagrad", "Adam", "Momentum"])
def test_what_trains_is_no_net(operator: str) -> None:
    attributes = {
        "Adagrad": {"decay_factor": 0.1, "epsilon": 0.1, "norm_coefficient": 0.1},
        "Adam": {},
        "Momentum": {"alpha": 0.1, "beta": 0.1, "mode": "standard", "norm_coefficient": 0.1},
    }[operator]
    count = 4 if operator == "Adam" else 3
    node = helper.make_node(
        operator, ["r", "t", *"xgvh"[:count]], ["y"], "step", domain=DOMAIN, **attributes
    )
    ports = [helper.make_tensor_value_info(n, 7 if n == "t" else 1, []) for n in "rtxgvh"]
    result = helper.make_tensor_value_info("y", 1, [])
    graph = helper.make_graph([node], "net", ports, [result])
    imports = [helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    with pytest.raises(InvalidNet) as raised:
        portgrad.load(model.SerializeToString())
    assert (raised.value.code, raised.value.found) == ("unknown_domain", f"{DOMAIN}.{operator}")
