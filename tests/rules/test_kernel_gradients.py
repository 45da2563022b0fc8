"""Which formulations gradients of convolutions have, told by their operators."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import net_bytes

# Channels before and behind, columns, attributes, and the products for a kernel of 3x3.
CASES: dict[str, tuple[int, int, int, str, int]] = {
    "by columns of the signal": (16, 16, 66, "", 3),
    "dilated": (16, 16, 70, "dilations = [1, 3]", 3),
    "few columns": (16, 16, 65, "", 9),
    "more channels behind": (16, 17, 66, "", 9),
    "few channels behind": (16, 15, 66, "", 9),
    "strides": (16, 16, 140, "strides = [1, 2]", 9),
    "groups": (32, 16, 66, "group = 2", 9),
}


@pytest.mark.parametrize("name", CASES)
def test_products(name: str) -> None:
    inner, outer, columns, attributes, products = CASES[name]
    weight = np.ones((outer, inner // (2 if "group" in attributes else 1), 3, 3), np.float32)
    net = net_bytes(
        f"(float[N, {inner}, 30, {columns}] x) => (float[N, a, b, c] y)"
        f" {{ y = Conv<{attributes or 'group = 1'}>(x, w) }}",
        {"w": weight},
    )
    model = gradient_graph(load(NetFiles(net)), wrt=["w"], of=["y"]).model
    assert Counter(node.op_type for node in model.graph)["MatMul"] == products


@pytest.mark.parametrize(("channels", "transposed"), [(24, 0), (23, 1)])
def test_images_of_channels_that_fill_blocks_are_convolved(channels: int, transposed: int) -> None:
    weight = np.ones((4, channels, 3, 3), np.float32)
    net = net_bytes(
        f"(float[N, {channels}, 7, 7] x) => (float[N, 4, a, b] y) {{ y = Conv(x, w) }}",
        {"w": weight},
    )
    model = gradient_graph(load(NetFiles(net)), wrt=["x"], of=["y"]).model
    assert Counter(node.op_type for node in model.graph)["ConvTranspose"] == transposed
