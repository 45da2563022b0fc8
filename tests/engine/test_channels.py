"""Gradients of convolutions in the runtime's blocks of channels, against double precision."""

from __future__ import annotations

import gc
import platform
from collections import Counter
from typing import Any

import numpy as np
import pytest

import portgrad
from portgrad.autodiff import gradient_graph
from portgrad.engine import ahead
from portgrad.engine.rewrites import channels
from portgrad.engine.weights import Weights
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import Array, net_bytes

_PAD = "pads = [1, 1, 1, 1]"
# Weights by name: a kernel (M, C / group, rows, columns), or a vector of so many channels.
_SHAPES: dict[str, tuple[int, ...]] = {
    "full": (16, 16, 3, 3), "point": (16, 16, 1, 1), "stem": (16, 3, 3, 3), "deep": (16, 1, 3, 3),
    "wide": (24, 16, 1, 1), "back": (16, 24, 1, 1), "odd": (5, 16, 1, 1), "pair": (16, 8, 1, 1),
    "few": (4, 16, 1, 1), "many": (32, 4, 1, 1), "last": (16, 32, 1, 1),
    "b16": (16,), "b24": (24,), "s16": (16,), "m16": (16,), "v16": (16,),
    "lowest": (), "highest": (),
}  # fmt: skip
_NORM = "BatchNormalization<epsilon = 0.01>"
_CLIP = "low = Constant<value = float {0.0}>() high = Constant<value = float {0.4}>()"
# The channels of x, what is computed from it, and how often y and the gradient of x go into blocks
# and out of them.
NETS: dict[str, tuple[int, str, tuple[int, int]]] = {
    "relu": (16, "c = Conv(x, point, b16) r = Relu(c) y = Conv(r, point)", (2, 2)),
    "clip": (
        16,
        f"{_CLIP} c = Conv(x, point) r = Clip(c, low, high) y = Conv<{_PAD}>(r, full)",
        (2, 2),
    ),
    "bounds that are parameters": (
        16,
        "c = Conv(x, point) r = Clip(c, lowest, highest) y = Conv(r, point)",
        (2, 2),
    ),
    "parameters in part of a block": (
        16,
        "c = Conv(x, wide) r = Clip(c, lowest, highest) y = Conv(r, back)",
        (2, 2),
    ),
    "one bound": (16, f"{_CLIP} c = Conv(x, point) r = Clip(c, low) y = Conv(r, point)", (2, 2)),
    "norm": (
        16,
        f"c = Conv(x, point, b16) n = {_NORM}(c, s16, b16, m16, v16) r = Relu(n)"
        f" y = Conv<{_PAD}>(r, full)",
        (2, 2),
    ),
    "residual": (
        16,
        "a = Conv(x, point) r = Relu(a) b = Conv(r, point) s = Add(b, r) t = Relu(s)"
        " y = Conv(t, point)",
        (2, 2),
    ),
    "both ways are convolutions": (
        16,
        "a = Conv(x, point) r = Relu(a) b = Conv(r, point) c = Conv(r, point, b16)"
        " s = Add(b, c) t = LeakyRelu(s) y = Conv(t, point)",
        (2, 2),
    ),
    "part of a block": (16, "c = Conv(x, wide, b24) r = Relu(c) y = Conv(r, back)", (2, 2)),
    "part of a block, times a number": (
        16,
        "huge = Constant<value = float {3e38}>() c = Conv(x, wide) h = Mul(c, huge)"
        " t = Tanh(h) a = Abs(t) y = Conv(a, back)",
        (6, 4),
    ),
    "less than a block": (16, "a = Conv(x, few) r = Abs(a) y = Conv(r, many)", (2, 4)),
    "stem": (3, f"a = Conv<{_PAD}>(x, stem) r = Relu(a) y = Conv(r, point)", (1, 2)),
    "depthwise": (
        16,
        f"a = Conv(x, point) r = Relu(a) d = Conv<group = 16, {_PAD}>(r, deep)"
        " t = Relu(d) y = Conv(t, point)",
        (2, 2),
    ),
    "depthwise by strides": (
        16,
        f"a = Conv(x, point) r = Relu(a) d = Conv<group = 16, strides = [2, 3], {_PAD}>(r, deep)"
        " t = Relu(d) y = Conv(t, point)",
        (2, 2),
    ),
    "depthwise by strides, dilated": (
        16,
        "a = Conv(x, point) r = Relu(a) d = Conv<group = 16, strides = [2, 1], dilations = [2, 1],"
        " pads = [2, 0, 0, 1]>(r, deep) t = Relu(d) y = Conv(t, point)",
        (2, 2),
    ),
    "depthwise, padded beyond the kernel": (
        16,
        "a = Conv(x, point) r = Relu(a) d = Conv<group = 16, strides = [2, 2],"
        " pads = [3, 3, 3, 3]>(r, deep) t = Relu(d) y = Conv(t, point)",
        (3, 3),
    ),
    "read by others": (
        16,
        "a = Conv(x, point) r = Relu(a) m = ReduceMax<keepdims = 1>(r) s = Sub(r, m)"
        " y = Conv(s, point)",
        (4, 4),
    ),
    "other shapes": (
        16,
        "a = Conv(x, point) e = ReduceMean<keepdims = 1>(a, axes) s = Mul(a, e) r = Abs(s)"
        " y = Conv(r, point)",
        (5, 5),
    ),
    "silu": (16, "a = Conv(x, point) g = Sigmoid(a) r = Mul(a, g) y = Conv(r, point)", (2, 2)),
    "where": (
        16,
        "nothing = Constant<value = float {0.0}>() a = Conv(x, point) l = Less(a, nothing)"
        " n = Neg(a) r = Where(l, n, a) y = Conv(r, point)",
        (2, 2),
    ),
    "not aligned": (16, "a = Conv(x, odd) y = Abs(a)", (0, 0)),
    "groups": (16, "a = Conv<group = 2>(x, pair) y = Abs(a)", (0, 0)),
    "nothing between": (16, "a = Conv(x, point) y = Conv(a, point)", (0, 0)),
}


def _weight(name: str, seed: int) -> Array:
    shape = _SHAPES[name]
    if not shape:
        return np.array({"lowest": -0.2, "highest": 0.4}[name], np.float32)
    array = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return (np.abs(array) + 0.5 if name == "v16" else array).astype(np.float32)


def _model(name: str, outputs: str = "y") -> bytes:
    inner, text, _ = NETS[name]
    weights = {w: _weight(w, i) for i, w in enumerate(_SHAPES) if w in text}
    weights |= {"axes": np.array([2, 3])} if "axes" in text else {}
    ports = ", ".join(f"float[{', '.join(port + s for s in 'abcd')}] {port}" for port in [*outputs])
    return net_bytes(f"(float[N, {inner}, 6, 5] x) => ({ports}) {{ {text} }}", weights)


def _image(name: str, examples: int) -> dict[str, Array]:
    rng = np.random.default_rng(9)
    return {"x": rng.standard_normal((examples, NETS[name][0], 6, 5)).astype(np.float32)}


def _weights(name: str) -> list[str]:
    return [weight for weight in _SHAPES if weight in NETS[name][1]]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("worth", [0, ahead.WORTH])
def test_gradients_are_those_in_double_precision(
    name: str, worth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels are laid out in a run before, or while the session is opened."""
    monkeypatch.setattr(ahead, "WORTH", worth)
    net, data = portgrad.load(_model(name), threads=1), _image(name, 2)
    wrt = ["x", *_weights(name)]
    (values, got), (exact, want) = (
        net.value_and_gradient(data, wrt=wrt, precision=p) for p in (None, "float64")
    )
    np.testing.assert_allclose(values["y"], exact["y"], rtol=1e-4, atol=1e-5)
    for key, gradient in want.items():
        np.testing.assert_allclose(got[key], gradient, rtol=1e-4, atol=1e-4 * abs(gradient).max())


def _said(name: str) -> tuple[bool, Counter[str]]:
    net = load(NetFiles(_model(name)))
    model = gradient_graph(net, wrt=["x"], of=["y"], outputs=["y"]).model
    return channels.say(model), Counter(node.op_type for node in model.graph)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
@pytest.mark.parametrize("name", NETS)
def test_nodes_between_convolutions_stay_in_blocks(name: str) -> None:
    said, count = _said(name)
    assert said == any(NETS[name][-1])
    assert (count["ReorderInput"], count["ReorderOutput"]) == NETS[name][-1]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
@pytest.mark.parametrize("name", ["norm", "depthwise", "part of a block"])
def test_kernels_are_laid_out_once_as_long_as_they_are_held(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "WORTH", 0)
    net = load(NetFiles(_model(name)))
    weights = Weights(net)

    def laid_out() -> dict[str, np.ndarray]:
        model = gradient_graph(net, wrt=["x"], of=["y"], outputs=["y"]).model
        channels.say(model)
        return ahead.lay_out(model, weights, 1)

    first, second = laid_out(), laid_out()
    assert first
    assert all(second[key] is array for key, array in first.items())
    del first, second
    gc.collect()
    assert not weights.laid_out


@pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
@pytest.mark.parametrize("name", ["norm", "depthwise", "part of a block"])
def test_kernels_are_laid_out_before_a_session_is_opened(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "WORTH", 0)
    net = load(NetFiles(_model(name)))
    model = gradient_graph(net, wrt=["x"], of=["y"], outputs=["y"]).model
    channels.say(model)
    laid = ahead.lay_out(model, Weights(model), 1)
    kernels = {
        node.inputs[1].name for node in model.graph if node.domain and node.op_type == "Conv"
    }
    assert kernels
    assert kernels == set(laid) <= set(model.graph.initializers)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
@pytest.mark.parametrize(
    ("name", "out"), [("bounds that are parameters", 2), ("parameters in part of a block", 5)]
)
def test_bounds_read_blocks(name: str, out: int) -> None:
    net = load(NetFiles(_model(name)))
    model = gradient_graph(net, wrt=["x", "lowest", "highest"], of=["y"], outputs=["y"]).model
    channels.say(model)
    assert Counter(node.op_type for node in model.graph)["ReorderOutput"] == out


def test_values_in_between_can_be_given_out() -> None:
    net, data = portgrad.load(_model("residual", "yrs")), _image("residual", 2)
    (values, got), (exact, want) = (
        net.value_and_gradient(data, wrt=["x", "r", "t"], precision=p) for p in (None, "float64")
    )
    for found, right in ((values, exact), (got, want)):
        for key, array in right.items():
            np.testing.assert_allclose(found[key], array, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["relu", "norm", "depthwise"])
def test_no_examples_give_zeros(name: str) -> None:
    net = portgrad.load(_model(name), threads=1)
    found: dict[str, Any] = net.gradient(_image(name, 0), wrt=["x", *_weights(name)])
    assert found["x"].shape == (0, *_image(name, 1)["x"].shape[1:])
    assert not any(array.any() for array in found.values())


@pytest.mark.parametrize("name", ["clip", "silu", "depthwise"])
def test_second_derivatives(name: str) -> None:
    net, data = portgrad.load(_model(name), threads=1), _image(name, 2)
    tangents = {"x": np.ones_like(data["x"])}
    got, want = (
        net.hvp(data, tangents=tangents, wrt=["x", "point"], precision=precision)
        for precision in (None, "float64")
    )
    for key, product in want.items():
        scale = abs(product).max()
        np.testing.assert_allclose(got[key], product, rtol=1e-3, atol=1e-4 * scale)


def test_not_a_number_stays_in_its_channels() -> None:
    """Zeros fill a block up: they meet nothing that is not finite."""
    net, data = portgrad.load(_model("part of a block"), threads=1), _image("part of a block", 2)
    data["x"][0, 3, 2, 2] = np.inf
    got = net.gradient(data, wrt="inputs")["x"]
    want = net.gradient(data, wrt="inputs", precision="float64")["x"]
    np.testing.assert_allclose(got[1], want[1], rtol=1e-4, atol=1e-5)
    assert (np.isfinite(got) == np.isfinite(want)).all()


_IN_A_BODY = {
    "branch": """
        c = Constant<value = bool {1}>()
        k = If (c) <
            then_branch = t () => (float[16,16,1,1] o) {
                s = ReduceMax<keepdims = 0>(x) o = Mul(point, s) },
            else_branch = e () => (float[16,16,1,1] o) { o = Identity(point) }>""",
    "loop": """
        n = Constant<value = int64 {2}>() c = Constant<value = bool {1}>()
        k = Loop (n, c, point) <
            body = b (int64 i, bool d, float[16,16,1,1] v) => (bool e, float[16,16,1,1] o) {
                e = Identity(d) s = ReduceMax<keepdims = 0>(x) o = Mul(v, s) }>""",
}


@pytest.mark.parametrize("name", _IN_A_BODY)
@pytest.mark.parametrize("worth", [0, ahead.WORTH])
def test_a_kernel_that_a_body_makes_of_the_image(
    name: str, worth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node is given constants alone: what the body reads from outside is none."""
    monkeypatch.setattr(ahead, "WORTH", worth)
    text = f"a = Conv(x, point) r = Abs(a) {_IN_A_BODY[name]} b = Conv(r, k) q = Abs(b)"
    weights = {"point": _weight("point", 0)}
    body = f"(float[N,16,6,5] x) => (float[N,16,6,5] y) {{ {text} y = Conv(q, point) }}"
    net, data = portgrad.load(net_bytes(body, weights), threads=1), _image("relu", 2)
    got, want = (net.gradient(data, wrt="all", precision=p) for p in (None, "float64"))
    for key, gradient in want.items():
        np.testing.assert_allclose(got[key], gradient, rtol=1e-4, atol=1e-4 * abs(gradient).max())
