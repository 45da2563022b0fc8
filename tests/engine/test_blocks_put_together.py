"""Images put together and taken apart in blocks of channels, against double precision."""

from __future__ import annotations

import platform

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest

import portgrad
from portgrad.autodiff import gradient_graph
from portgrad.engine.rewrites import channels
from portgrad.engine.rewrites.channels.layout import DOMAIN
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import Array, net_bytes, random

# Channels of two bridges and of what is put together from them, columns, and whether it is in
# blocks: whole ones alone can be told apart again.
NETS: dict[str, tuple[int, int, int, int, bool]] = {
    "as wide as each": (16, 16, 16, 66, True),
    "wider than one": (16, 32, 32, 66, True),
    "few columns": (32, 16, 16, 9, True),
    "part of a block": (16, 8, 16, 66, False),
}
WRT = ["x", "a", "b", "c", "d"]


def _model(name: str) -> bytes:
    first, second, out, columns, _ = NETS[name]
    rng = np.random.default_rng(4)
    shapes = {
        "a": (first, 16, 1, 1),
        "b": (second, 16, 1, 1),
        "c": (out, first + second, 3, 3),
        "d": (16, out, 1, 1),
    }
    weights: dict[str, Array] = {
        name: rng.standard_normal(shape).astype(np.float32) / 4 for name, shape in shapes.items()
    }
    return net_bytes(
        f"(float[N, 16, 4, {columns}] x) => (float[N, 16, 4, {columns}] y) {{"
        " l = Conv(x, a) m = Relu(l) r = Conv(x, b) s = Relu(r) t = Concat<axis = 1>(m, s)"
        " u = Conv<pads = [1, 1, 1, 1]>(t, c) v = Relu(u) y = Conv(v, d) }",
        weights,
    )


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("examples", [0, 2])
def test_gradients_are_those_in_double_precision(name: str, examples: int) -> None:
    net, columns = portgrad.load(_model(name), threads=1), NETS[name][3]
    shape = (examples, 16, 4, columns)
    image = np.random.default_rng(8).standard_normal(shape).astype(np.float32)
    got, want = (
        net.gradient({"x": image}, wrt=WRT, precision=precision) for precision in (None, "float64")
    )
    for key, gradient in want.items():
        scale = abs(gradient).max(initial=1.0)
        np.testing.assert_allclose(got[key], gradient, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
@pytest.mark.parametrize("name", NETS)
def test_what_is_put_together_stays_in_blocks(name: str) -> None:
    model = gradient_graph(load(NetFiles(_model(name))), wrt=WRT, of=["y"], outputs=["y"]).model
    channels.say(model)
    blocked = {
        node.op_type
        for node in model.graph
        if node.op_type in ("Concat", "Split") and _is_in_blocks(node.inputs[0])
    }
    assert blocked == ({"Concat", "Split"} if NETS[name][-1] else set())


def _is_in_blocks(value: ir.Value | None) -> bool:
    node = None if value is None else value.producer()
    return node is not None and node.domain == DOMAIN and node.op_type == "Conv"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
@pytest.mark.parametrize(("between", "orders"), [(3, 1), (70, 2)])
def test_what_is_read_again_much_later_is_not_kept_in_order(between: int, orders: int) -> None:
    chain = " ".join(f"s{at + 1} = Sin(s{at})" for at in range(between))
    net = net_bytes(
        "(float[N, 16, 4, 4] x) => (float[N, 16, A, 4] y) {"
        f" l = Conv(x, w) m = Abs(l) s0 = Sin(m) {chain} y = Concat<axis = 2>(s{between}, m) }}",
        {"w": random(16, 16, 1, 1)},
    )
    model = load(NetFiles(net))
    channels.say(model)
    assert [node.op_type for node in model.graph].count("ReorderOutput") == orders
    x = random(2, 16, 4, 4, seed=1)
    sessions = [ort.InferenceSession(one) for one in (net, ir.to_proto(model).SerializeToString())]
    want, got = (session.run(None, {"x": x})[0] for session in sessions)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
