"""What is masked by bytes is what was multiplied by a mask in float32, to the last bit."""

from __future__ import annotations

import platform
from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import portgrad
from portgrad.autodiff import gradient_graph
from portgrad.engine.rewrites import channels, masking
from portgrad.engine.rewrites.channels import masks
from portgrad.engine.sessions import Session
from portgrad.engine.weights import Weights
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import Array, net_bytes, random

MASK = "z = Constant<value = float {0.0}>() b = Greater(x, z) m = Cast<to = 1>(b) "
PRODUCT = MASK + "y = Mul(c, m)"
BYTES, BEFORE = ["Greater", "Cast", "DequantizeLinear"], ["Greater", "Cast", "Mul"]
BLOCKS = pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")


def _model(text: str, x: str, c: str) -> ir.Model:
    proto = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 21]> net ({x} x, {c} c) => ({x} y) {{ {text} }}'
    )
    return load(NetFiles(proto.SerializeToString()))


def _kinds(model: ir.Model) -> list[str]:
    masking.by_bytes(model.graph)
    return [node.op_type for node in model.graph if node.op_type != "Constant"]


@pytest.mark.parametrize(
    ("text", "x", "c", "kinds"),
    [
        (PRODUCT, "float[N,32]", "float[N,32]", BYTES),
        (PRODUCT.replace("c, m", "m, c"), "float[N,32]", "float[N,32]", BYTES),
        (PRODUCT, "float[4,64]", "float[4,64]", BYTES),
        (MASK + "p = Mul(c, m) y = Add(p, m)", "float[N,32]", "float[N,32]",
         ["Greater", "Cast", "Cast", "DequantizeLinear", "Add"]),
        (PRODUCT, "float[N,31]", "float[N,31]", BEFORE),
        (PRODUCT, "float[N,C]", "float[N,C]", BEFORE),
        (PRODUCT, "float[64]", "float[64]", BEFORE),
        (PRODUCT, "float[2,4,64]", "float[2,4,64]", BEFORE),
        (PRODUCT, "float[N,32]", "float[1,32]", BEFORE),
        (PRODUCT, "float[N,32]", "float[M,32]", BEFORE),
        (PRODUCT.replace("float {", "double {").replace("to = 1>", "to = 11>"),
         "double[N,32]", "double[N,32]", BEFORE),
        (PRODUCT.replace("Greater(x, z)", "Cast<to = 6>(x)"), "float[N,32]", "float[N,32]",
         ["Cast", "Cast", "Mul"]),
    ],
)  # fmt: skip
def test_where_it_is_done(text: str, x: str, c: str, kinds: list[str]) -> None:
    assert _kinds(_model(text, x, c)) == kinds


def test_numbers_of_all_kinds() -> None:
    tiny, huge = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
    kinds = [0.0, tiny, 1e-39, np.finfo(np.float32).tiny, 1.0, huge, np.inf, np.nan]
    numbers = np.array([*kinds, *np.negative(kinds), *range(16)], np.float32)
    x, c = np.meshgrid(numbers, numbers)
    model = _model(PRODUCT, "float[N,32]", "float[N,32]")
    [found] = Session(model, Weights(model), 1).run({"x": x, "c": c})
    with np.errstate(invalid="ignore"):
        wanted = c * (x > 0).astype(np.float32)
    np.testing.assert_array_equal(found, wanted)
    shown = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found)[shown], np.signbit(wanted)[shown])


TURNED: dict[str, tuple[str, Callable[[Array, Array], Array], bool]] = {
    "x": ("t = Transpose(x) r = Relu(t) b = Greater(r, z)", lambda x, _: x.T > 0, False),
    "a sum": ("t = Transpose(x) s = Add(c, t) b = Greater(s, z)", lambda x, c: x.T + c > 0, False),
    "a condition": ("a = Greater(x, z) b = Transpose(a)", lambda x, _: x.T > 0, False),
    "a reshaped one": (
        "t = Transpose(x) s = Constant<value = int64[2] {32, 32}>() f = Reshape(t, s)"
        " b = Greater(f, z)",
        lambda x, _: x.T > 0,
        False,
    ),
    "a factor": ("t = Transpose(x) q = MatMul(t, c) b = Greater(q, z)",
                 lambda x, c: x.T @ c > 0, True),
    "what is masked": ("b = Greater(x, z)", lambda x, _: x > 0, True),
}  # fmt: skip


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("name", TURNED)
def test_transpositions(name: str, *, back: bool) -> None:
    """As many rows as columns: what is turned where it should not be has the same shape."""
    told, condition, by_bytes = TURNED[name]
    text = "z = Constant<value = float {0.0}>() " + told
    text += " m = Cast<to = 1>(b) d = Transpose(c) p = Mul(d, m) "
    text += "y = Transpose(p)" if back else "y = Neg(p)"
    model = _model(text, "float[32,32]", "float[32,32]")
    assert ("DequantizeLinear" in _kinds(model)) == by_bytes
    x, c = random(32, 32), random(32, 32, seed=1)
    [found] = Session(model, Weights(model), 1).run({"x": x, "c": c})
    product = c.T * condition(x, c)
    np.testing.assert_array_equal(found, product.T if back else -product)


_CONV = "Conv<pads = [1, 1, 1, 1]>"
_SIX = "low = Constant<value = float {0.0}>() high = Constant<value = float {6.0}>() "
# A net, the sizes of an example, its weights, and how many products are masked by bytes.
NETS: dict[str, tuple[str, tuple[int, ...], dict[str, tuple[int, ...]], int]] = {
    "layers": (
        "a = Gemm(x, v, p) f = Relu(a) b = MatMul(f, w) g = Relu(b) y = MatMul(g, u)",
        (40,), {"v": (40, 48), "p": (48,), "w": (48, 33), "u": (33, 3)}, 2,
    ),
    "clipped layers": (
        _SIX + "a = Gemm(x, v, p) f = Clip(a, low, high) y = MatMul(f, w)",
        (40,), {"v": (40, 48), "p": (48,), "w": (48, 3)}, 1,
    ),
    "images": (
        f"a = {_CONV}(x, v) f = Relu(a) b = {_CONV}(f, w) g = Relu(b) y = {_CONV}(g, u)",
        (3, 6, 5), {"v": (16, 3, 3, 3), "w": (32, 16, 3, 3), "u": (16, 32, 3, 3)}, 2,
    ),
    "clipped images": (
        _SIX + f"a = {_CONV}(x, v) f = Clip(a, low, high) y = {_CONV}(f, w)",
        (3, 6, 5), {"v": (16, 3, 3, 3), "w": (16, 16, 3, 3)}, 1,
    ),
    "part of a block": (
        _SIX + f"a = {_CONV}(x, v) f = Clip(a, low, high) y = {_CONV}(f, w)",
        (16, 6, 5), {"v": (24, 16, 3, 3), "w": (16, 24, 3, 3)}, 1,
    ),
    "turned images": (
        f"t = Transpose<perm = [0, 3, 1, 2]>(x) a = {_CONV}(t, v) f = Relu(a) y = {_CONV}(f, w)",
        (5, 5, 5), {"v": (16, 5, 3, 3), "w": (16, 16, 3, 3)}, 1,
    ),
}  # fmt: skip


def _net(name: str) -> bytes:
    text, sizes, shapes, _ = NETS[name]
    weights = {key: random(*shape, seed=len(key)) for key, shape in shapes.items()}
    ports = ", ".join(str(size) for size in sizes)
    out = "N, 3" if len(sizes) == 1 else "N, 16, h, w"
    return net_bytes(f"(float[N, {ports}] x) => (float[{out}] y) {{ {text} }}", weights)


@BLOCKS
@pytest.mark.parametrize("name", NETS)
def test_products_of_a_gradient(name: str) -> None:
    model = gradient_graph(load(NetFiles(_net(name))), wrt=["x"], of=["y"], outputs=["y"]).model
    masking.by_bytes(model.graph)
    channels.say(model)
    kinds = [node.op_type for node in model.graph]
    assert kinds.count("DequantizeLinear") == NETS[name][-1]


@pytest.mark.parametrize("examples", [0, 1, 3])
@pytest.mark.parametrize("name", NETS)
def test_gradients_are_the_same(name: str, examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, sizes, shapes, _ = NETS[name]
    data, wrt = {"x": 3 * random(examples, *sizes)}, ["x", *shapes]
    got = portgrad.load(_net(name), threads=1).gradient(data, wrt=wrt)
    for module in (masking, masks):
        monkeypatch.setattr(module, "parts", lambda _: None)
    before = portgrad.load(_net(name), threads=1).gradient(data, wrt=wrt)
    for key, array in before.items():
        np.testing.assert_array_equal(got[key], array)
        np.testing.assert_array_equal(np.signbit(got[key]), np.signbit(array))
