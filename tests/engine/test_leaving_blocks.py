"""What blocks of channels are reduced to without being put in order, against double precision."""

from __future__ import annotations

import platform
from collections import Counter

import numpy as np
import pytest

import portgrad
from portgrad.autodiff import gradient_graph
from portgrad.engine.rewrites import channels
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import Array, net_bytes

# Channels before and behind, rows, and whether the kernel's gradient and the bias's leave blocks.
NETS: dict[str, tuple[int, int, int, bool, bool]] = {
    "wide image": (48, 16, 21, True, True),
    "wide signal": (16, 48, 21, True, True),
    "both narrow": (16, 16, 21, True, True),
    "narrow in part of a block": (48, 24, 21, True, True),
    "wide in part of a block": (16, 24, 21, False, True),
    "both wide": (48, 48, 21, False, True),
    "few rows": (48, 16, 5, False, True),
}
_WRT = ["x", "w", "b"]


def _model(name: str) -> bytes:
    inner, outer, rows, *_ = NETS[name]
    rng = np.random.default_rng(3)
    shapes = {"first": (inner, 16, 1, 1), "w": (outer, inner, 1, 1), "b": (outer,)}
    weights: dict[str, Array] = {
        name: rng.standard_normal(shape).astype(np.float32) / 4 for name, shape in shapes.items()
    } | {"last": rng.standard_normal((16, outer, 1, 1)).astype(np.float32)}
    return net_bytes(
        f"(float[N, 16, {rows}, {rows}] x) => (float[N, 16, {rows}, {rows}] y)"
        " { a = Conv(x, first) t = Abs(a) c = Conv(t, w, b) r = Relu(c) y = Conv(r, last) }",
        weights,
    )


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_those_in_double_precision(name: str) -> None:
    net, rows = portgrad.load(_model(name), threads=1), NETS[name][2]
    image = np.random.default_rng(8).standard_normal((2, 16, rows, rows)).astype(np.float32)
    got, want = (
        net.gradient({"x": image}, wrt=_WRT, precision=precision) for precision in (None, "float64")
    )
    for key, gradient in want.items():
        scale = abs(gradient).max()
        np.testing.assert_allclose(got[key], gradient, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
@pytest.mark.parametrize("name", NETS)
def test_nothing_is_put_in_order_for_them(name: str) -> None:
    net = load(NetFiles(_model(name)))
    model = gradient_graph(net, wrt=_WRT, of=["y"], outputs=["y"]).model
    channels.say(model)
    count = Counter(node.op_type for node in model.graph)
    _, _, _, product, total = NETS[name]
    # y, the gradient of x, and one operand of the kernel's gradient, or both.
    assert count["ReorderOutput"] == (3 if product else 4)
    assert count["AveragePool"] == total
