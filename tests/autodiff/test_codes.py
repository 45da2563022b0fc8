"""How cotangents pass codes: through what moves them and multiplies them, and where they stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

import portgrad
from portgrad.autodiff import gradient_graph
from portgrad.errors import Unsupported

STRAIGHT: dict[str, Any] = {"quantized": "straight_through"}
X = (2.0 * np.random.default_rng(17).standard_normal((2, 4))).astype(np.float32)


def _net(header: str, body: str, *, opset: int = 21) -> portgrad.Net:
    text = f'<ir_version: 10, opset_import: ["": {opset}]> g {header} {{ {body} }}'
    return portgrad.load(onnx.parser.parse_model(text).SerializeToString())


_HEAD = """(float[2,4] x) => (float[M,N] y)
<float s = {0.02}, uint8 z = {120}, uint8 k = {90}, float kf = {90}, uint8 h = {220},
 float hf = {220}, uint8[1,4] o = {1, 2, 3, 4}, uint8[1,4] u = {7, 7, 7, 7},
 int64[2] i = {1, 0}, int64[1] one = {1}, int64[1] three = {3}, int64[2] shape = {4, 2},
 int64[2] wide = {3, 4}, int64[2] twice = {2, 1}, int64[4] pads = {0, 1, 0, 2},
 float[4] scales = {1, 1, 2, 1.5}, bool[4] m = {1, 0, 1, 1},
 int64[2,4] along = {1, 1, 0, 1, 0, 0, 1, 1}, int64[1,4] at = {1, 0, 0, 1},
 int64[4] image = {1, 1, 2, 4}>"""
MOVED = {
    "nothing": "q = Identity(p)",
    "Reshape": "q = Reshape(p, shape)",
    "Flatten": "q = Flatten<axis = 1>(p)",
    "Transpose": "q = Transpose(p)",
    "Unsqueeze-Squeeze": "a = Unsqueeze(p, one) q = Squeeze(a, one)",
    "Concat": "q = Concat<axis = 0>(o, p, p)",
    "Split": "a, q = Split<axis = 1, num_outputs = 2>(p)",
    "Slice": "q = Slice(p, one, three, one)",
    "Gather": "q = Gather(p, i)",
    "GatherElements": "q = GatherElements<axis = 0>(p, along)",
    "Pad": "q = Pad(p, pads, k)",
    "Expand": "a = Gather(p, one) q = Expand(a, wide)",
    "Max": "q = Max(p, k)",
    "Tile": "q = Tile(p, twice)",
    "Min": "q = Min(p, k)",
    "Where": "q = Where(m, p, k)",
    "Compress": "q = Compress<axis = 1>(p, m)",
    "ScatterElements": "q = ScatterElements<axis = 0>(p, at, u)",
    "TopK": "q, places = TopK(p, three)",
    "Resize": "a = Reshape(p, image) b = Resize(a, , scales) q = Flatten<axis = 3>(b)",
    "MaxPool": "a = Reshape(p, image) b = MaxPool<kernel_shape = [1, 2]>(a)"
    " q = Flatten<axis = 3>(b)",
    "ReduceMax": "q = ReduceMax(p, one)",
    "DepthToSpace": "a = Reshape(p, image) b = Transpose<perm = [0, 3, 1, 2]>(a)"
    " c = DepthToSpace<blocksize = 2>(b) q = Flatten<axis = 2>(c)",
    "Clip": "q = Clip(p, k, h)",
    "Cast": "q = Cast<to = 5>(p)",
    "Add": "a = Cast<to = 6>(p) b = Cast<to = 6>(o) c = Add(a, b) q = Sub(b, c)",
}  # fmt: skip


@pytest.mark.parametrize("move", MOVED.values(), ids=MOVED)
def test_what_moves_codes_passes_cotangents(move: str) -> None:
    """The same as moving the numbers that stand for the codes, which ordinary rules prove."""
    coded, floating = _moving(move)
    args: dict[str, Any] = {"output_gradients": {"y": _seed(coded)}, "wrt": ["x", "s"]}
    found = coded.gradient(X, **args, **STRAIGHT)
    numbers = floating.gradient(X, **args, **STRAIGHT)
    assert np.abs(found["x"]).max() > 0
    np.testing.assert_allclose(found["x"], numbers["x"], rtol=1e-6)
    np.testing.assert_allclose(found["s"], numbers["s"], rtol=1e-5)
    np.testing.assert_array_equal(coded.gradient(X, **args)["x"], np.zeros_like(X))


def _moving(move: str) -> tuple[portgrad.Net, portgrad.Net]:
    """A move of codes, and the same move of their values as floats."""
    head, tail = "p = QuantizeLinear(x, s, z)", "f = Cast<to = 1>(q) y = Mul(f, s)"
    floats = move.replace("(o,", "(of,").replace("(p, at, u)", "(p, at, uf)")
    floats = floats.replace(", k)", ", kf)").replace("(p, k, h)", "(p, kf, hf)")
    floats = floats.replace("Cast<to = 5>", "Identity")
    floats = floats.replace("Cast<to = 6>(o)", "Identity(of)").replace("Cast<to = 6>", "Identity")
    made = "of = Cast<to = 1>(o) uf = Cast<to = 1>(u)"
    start = f"{made} codes = QuantizeLinear(x, s, z) p = Cast<to = 1>(codes)"
    return _net(_HEAD, f"{head} {move} {tail}"), _net(_HEAD, f"{start} {floats} {tail}")


def _seed(net: portgrad.Net) -> np.ndarray:
    shape = net.evaluate(X)["y"].shape
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


# -- products ------------------------------------------------------------------------------------


def _product(nodes: str, channels: bool) -> portgrad.Net:
    """A net of some nodes that may read weights, with a scale for each channel of `w` or one."""
    weights = np.random.default_rng(4)
    w = weights.integers(-20, 20, (3, 2, 3, 3)).astype(np.int8)
    m = weights.integers(0, 200, (4, 5)).astype(np.uint8)
    shape = (3,) if channels else ()
    held = {
        "w": w,
        "ws": np.asarray(weights.uniform(0.02, 0.05, shape), np.float32),
        "wz": np.zeros(shape, np.int8),
        "m": m,
        "ms": np.asarray(0.03, np.float32),
        "mz": np.asarray(90, np.uint8),
        "bias": np.array([10, -200, 300], np.int32),
        "s": np.asarray(0.03, np.float32),
        "z": np.asarray(120, np.uint8),
        "ys": np.asarray(0.04, np.float32),
        "yz": np.asarray(100, np.uint8),
    }
    text = f"""<ir_version: 10, opset_import: ["": 21]> g (float[N,K] v, float[N,2,5,5] i) => (y) {{
      {nodes} }}"""
    model = onnx.parser.parse_model(text)
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(a, name) for name, a in held.items() if name in read
    )
    for index in reversed(range(2)):
        if model.graph.input[index].name not in read:
            del model.graph.input[index]
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("y", 1, None))
    return portgrad.load(model.SerializeToString())


_CONV = "pads = [1, 0, 1, 2], strides = [2, 1]"
_IN = "q = QuantizeLinear(i, s, z) "
_OUT = " y = DequantizeLinear(r, ys, yz)"
_D = "d = DequantizeLinear(q, s, z) "
_DW = "e = DequantizeLinear<axis = 0>(w, ws, wz) "
_ROWS = "q = QuantizeLinear(v, s, z) "
_DM = "e = DequantizeLinear(m, ms, mz) "
PRODUCTS = {
    "QLinearConv": (
        f"{_IN} r = QLinearConv<{_CONV}>(q, s, z, w, ws, wz, ys, yz) {_OUT}",
        f"{_IN} {_D} {_DW} p = Conv<{_CONV}>(d, e) r = QuantizeLinear(p, ys, yz) {_OUT}",
        ["i", "s", "ws", "ys"],
    ),
    "QLinearConv-bias": (
        f"{_IN} r = QLinearConv(q, s, z, w, ws, wz, ys, yz, bias) {_OUT}",
        f"{_IN} {_D} {_DW} bs = Mul(s, ws) b = DequantizeLinear<axis = 0>(bias, bs)"
        f" p = Conv(d, e, b) r = QuantizeLinear(p, ys, yz) {_OUT}",
        ["i", "s", "ws", "ys"],
    ),
    "ConvInteger": (
        f"{_IN} p = ConvInteger<{_CONV}>(q, w, z) f = Cast<to = 1>(p) g = Mul(f, s) y = Mul(g, ms)",
        f"{_IN} {_D} e = Cast<to = 1>(w) f = Conv<{_CONV}>(d, e) y = Mul(f, ms)",
        ["i", "s", "ms"],
    ),
    "QLinearMatMul": (
        f"{_ROWS} r = QLinearMatMul(q, s, z, m, ms, mz, ys, yz) {_OUT}",
        f"{_ROWS} {_D} {_DM} p = MatMul(d, e) r = QuantizeLinear(p, ys, yz) {_OUT}",
        ["v", "s", "ms", "ys"],
    ),
    "QLinearMatMul-one-scale": (
        f"{_ROWS} r = QLinearMatMul(q, s, z, m, s, mz, ys, yz) {_OUT}",
        f"{_ROWS} {_D} e = DequantizeLinear(m, s, mz) p = MatMul(d, e)"
        f" r = QuantizeLinear(p, ys, yz) {_OUT}",
        ["v", "s", "ys"],
    ),
    "MatMulInteger": (
        f"{_ROWS} p = MatMulInteger(q, m, z, mz) f = Cast<to = 1>(p) g = Mul(f, s) y = Mul(g, ms)",
        f"{_ROWS} {_D} {_DM} y = MatMul(d, e)",
        ["v", "s", "ms"],
    ),
    "MatMulInteger-of-itself": (
        f"{_ROWS} t = Transpose(q) p = MatMulInteger(q, t, z, z) f = Cast<to = 1>(p)"
        " g = Mul(f, s) y = Mul(g, s)",
        f"{_ROWS} {_D} e = Transpose(d) y = MatMul(d, e)",
        ["v", "s"],
    ),
}  # fmt: skip


CALLS = [
    pytest.param(*product, channels, id=f"{name}-{'channels' if channels else 'tensor'}")
    for name, product in PRODUCTS.items()
    for channels in ([False, True] if "ws" in product[2] else [False])
]


@pytest.mark.parametrize(("coded", "numbers", "wrt", "channels"), CALLS)
def test_a_product_of_codes_is_that_of_the_numbers(
    coded: str, numbers: str, wrt: list[str], channels: bool
) -> None:
    one, other = (_product(nodes, channels) for nodes in (coded, numbers))
    size = (3, 4) if wrt[0] == "v" else (2, 2, 5, 5)
    x = np.random.default_rng(8).standard_normal(size).astype(np.float32)
    y = one.evaluate(x)["y"]
    seed = np.random.default_rng(3).standard_normal(y.shape).astype(np.float32)
    args: dict[str, Any] = {"wrt": wrt, "output_gradients": {"y": seed}, **STRAIGHT}
    found, want = one.gradient(x, outputs=True, **args), other.gradient(x, **args)
    np.testing.assert_array_equal(found.outputs["y"], y)
    for name in wrt:
        assert np.abs(want[name]).max() > 0
        # Those of scales are sums of a hundred terms of order 10 that nearly cancel.
        np.testing.assert_allclose(found[name], want[name], rtol=1e-4, atol=1e-3)


# -- where they stop -----------------------------------------------------------------------------

_SMALL = "(float[2,4] x, bool c) => (float[2,4] y) <float s = {0.02}, int8 z = {3}>"
_IN_BRANCH = """q = QuantizeLinear(x, s, z) r = If(c) <
    then_branch = a () => (int8[2,4] t) { t = Identity(q) },
    else_branch = b () => (int8[2,4] e) { e = Identity(q) }> y = DequantizeLinear(r, s, z)"""
_OUT_OF_BRANCH = """r = If(c) <
    then_branch = a () => (int8[2,4] t) { t = QuantizeLinear(x, s, z) },
    else_branch = b () => (int8[2,4] e) { e = QuantizeLinear(x, s, z) }>
    y = DequantizeLinear(r, s, z)"""
STOPPED = {
    "arithmetic": ("q = QuantizeLinear(x, s, z) i = Cast<to = 6>(q) j = Mul(i, i)"
                   " y = Cast<to = 1>(j)", "Mul node 'j'"),
    "a narrowing cast": ("q = QuantizeLinear(x, s, z) i = Cast<to = 6>(q) j = Cast<to = 3>(i)"
                         " y = Cast<to = 1>(j)", "Cast node 'j'"),
    "a power": ("q = QuantizeLinear(x, s, z) y = Pow(x, q)", "Pow node 'y'"),
    "a sequence": ("q = QuantizeLinear(x, s, z) l = SequenceConstruct(q, q)"
                   " i = Cast<to = 7>(c) e = SequenceAt(l, i)"
                   " y = DequantizeLinear(e, s, z)", "Sequence"),
    "a state": ("""o = Constant<value = int64 {2}>() k = QuantizeLinear(s, s, z)
      r = Loop<body = step (int64 n, bool g, int8 b) => (bool going, int8 a) { going = Identity(g)
        m = ReduceMax<keepdims = 0>(x) a = QuantizeLinear(m, s, z) }>(o, c, k)
      d = DequantizeLinear(r, s, z) y = Mul(d, x)""", "Loop node 'r'"),
    "into a branch": (_IN_BRANCH, "If node 'r'"),
    "out of a branch": (_OUT_OF_BRANCH, "If node 'r'"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "node"), STOPPED.values(), ids=STOPPED)
def test_what_computes_with_codes_is_refused(body: str, node: str) -> None:
    net = _net(_SMALL, body)
    data = {"x": X, "c": True}
    with pytest.raises(Unsupported, match=node) as caught:
        net.gradient(data, **STRAIGHT)
    assert "odes" in caught.value.detail
    net.gradient(data)  # exactly, it is zero


def test_codes_in_a_sequence_whose_places_are_known_pass() -> None:
    """The sequence is taken apart before anything is differentiated."""
    body = """q = QuantizeLinear(x, s, z) l = SequenceConstruct(q, q)
    i = Constant<value = int64 {1}>() e = SequenceAt(l, i) y = DequantizeLinear(e, s, z)"""
    found = _net(_SMALL, body).gradient({"x": X, "c": True}, **STRAIGHT)
    inside = np.abs(np.round(X / np.float32(0.02)) + 3.5) < 128
    np.testing.assert_array_equal(found["x"], inside.astype(np.float32))


def test_a_pair_inside_a_branch_passes() -> None:
    body = """y = If(c) <
      then_branch = a () => (float[2,4] t) { q = QuantizeLinear(x, s, z)
        t = DequantizeLinear(q, s, z) },
      else_branch = b () => (float[2,4] e) { e = Neg(x) }>"""
    net = _net(_SMALL, body)
    found = net.gradient({"x": X, "c": True}, **STRAIGHT)
    inside = np.abs(np.round(X / np.float32(0.02)) + 3.5) < 128
    np.testing.assert_array_equal(found["x"], inside.astype(np.float32))


_SCALED = """(float[5,4] xs, float[4] h) => (float[4] y, float[5,4] ys)
<float s = {0.05}, int8 z = {3}>"""


def test_a_pair_inside_a_scan_passes() -> None:
    """h' = fake(h + x): the gradient of the last state at each x is the product of later masks."""
    body = """y, ys = Scan<num_scan_inputs = 1, body = step (float[4] i, float[4] b)
      => (float[4] o, float[4] o2) { a = Add(i, b) q = QuantizeLinear(a, s, z)
        o = DequantizeLinear(q, s, z) o2 = Identity(o) }>(h, xs)"""
    net = _net(_SCALED, body)
    data = {"xs": (2.0 * np.random.default_rng(4).standard_normal((5, 4))).astype(np.float32)}
    data["h"] = np.zeros(4, np.float32)
    found = net.gradient(data, wrt=["xs", "h"], of=["y"], **STRAIGHT)
    state, masks, step = data["h"], [], np.float32(0.05)
    for x in data["xs"]:
        code = np.round((state + x) / step) + 3
        masks.append((code >= -128) & (code <= 127))
        state = (np.clip(code, -128, 127) - 3) * step
    want = np.cumprod(np.array(masks)[::-1], axis=0)[::-1]
    assert 0 < want.sum() < want.size
    np.testing.assert_array_equal(found["xs"], want)
    np.testing.assert_array_equal(found["h"], want[0])
    exact = net.gradient(data, of=["y"])
    assert exact.warnings[0].startswith("QuantizeLinear node")


def test_codes_that_choose_are_not_differentiated() -> None:
    body = "q = QuantizeLinear(x, s, z) n = Shape(q) b = Cast<to = 9>(q) w = Where(b, x, s)"
    net = _net(_SMALL, f"{body} f = Expand(w, n) y = Mul(f, x)")
    both = [net.gradient({"x": X, "c": True}, **given)["x"] for given in ({}, STRAIGHT)]
    np.testing.assert_array_equal(*both)


# -- twice ---------------------------------------------------------------------------------------


def test_a_gradient_can_be_differentiated_again() -> None:
    """y = Σ d³ with d the fake quantisation of x: dy/dx = 3 d² inside, and 6 d the second time."""
    text = """<ir_version: 10, opset_import: ["": 21]> g (float[2,4] x) => (float[2,4] y)
    <float s = {0.02}, int8 z = {3}> { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)
      e = Mul(d, d) y = Mul(e, d) }"""
    model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text), data_prop=True)
    once = ir.from_proto(model)
    for output in ("y", "first"):
        graph = gradient_graph(once, wrt=["x"], of=[output], **STRAIGHT)
        once = graph.model
        [result] = once.graph.outputs
        result.name = "first" if output == "y" else "second"
    proto = ir.to_proto(once)
    found = portgrad.load(proto.SerializeToString()).evaluate(X)["second"]
    r = np.round(X / np.float32(0.02)) + 3
    d = (np.clip(r, -128, 127) - 3) * np.float32(0.02)
    np.testing.assert_allclose(found, 6 * d * ((r >= -128) & (r <= 127)), rtol=1e-5)
