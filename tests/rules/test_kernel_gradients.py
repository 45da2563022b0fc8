"""Which formulations gradients of convolutions have, told by their operators."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from portgrad.autodiff import gradient_graph
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load
from support.engine import net_bytes

# Channels before and behind, columns, attributes, and whether both operands are moved: that takes
# six copies for a kernel of 3x3, and nine where the image is.
CASES: dict[str, tuple[int, int, int, str, bool]] = {
    "both moved": (16, 16, 66, "", True),
    "dilated": (16, 16, 70, "dilations = [1, 3]", True),
    "more channels behind": (16, 17, 66, "", True),
    "few columns": (16, 16, 65, "", False),
    "few channels behind": (16, 15, 66, "", False),
    "few channels before": (15, 16, 66, "", False),
    "strides": (16, 16, 140, "strides = [1, 2]", False),
    "groups": (32, 16, 66, "group = 2", False),
}


@pytest.mark.parametrize("name", CASES)
def test_copies(name: str) -> None:
    inner, outer, columns, attributes, both = CASES[name]
    weight = np.ones((outer, inner // (2 if "group" in attributes else 1), 3, 3), np.float32)
    net = net_bytes(
        f"(float[N, {inner}, 30, {columns}] x) => (float[N, a, b, c] y)"
        f" {{ y = Conv<{attributes or 'group = 1'}>(x, w) }}",
        {"w": weight},
    )
    model = gradient_graph(load(NetFiles(net)), wrt=["w"], of=["y"]).model
    assert Counter(node.op_type for node in model.graph)["Slice"] == (6 if both else 9)


@pytest.mark.parametrize(("second", "apart"), [(16, True), (15, False)])
def test_images_put_together_are_read_in_parts(second: int, apart: bool) -> None:
    net = net_bytes(
        f"(float[N, 16, 4, 66] a, float[N, {second}, 4, 66] b) => (float[N, 16, p, q] y)"
        " { x = Concat<axis = 1>(a, b) y = Conv(x, w) }",
        {"w": np.ones((16, 16 + second, 2, 2), np.float32)},
    )
    model = gradient_graph(load(NetFiles(net)), wrt=["w"], of=["y"]).model
    readers = [node.op_type for node in model.graph if "x" in {v.name for v in node.inputs if v}]
    assert ("Slice" not in readers) == apart


@pytest.mark.parametrize(("channels", "transposed"), [(24, 0), (23, 1)])
def test_images_of_channels_that_fill_blocks_are_convolved(channels: int, transposed: int) -> None:
    weight = np.ones((4, channels, 3, 3), np.float32)
    net = net_bytes(
        f"(float[N, {channels}, 7, 7] x) => (float[N, 4, a, b] y) {{ y = Conv(x, w) }}",
        {"w": weight},
    )
    model = gradient_graph(load(NetFiles(net)), wrt=["x"], of=["y"]).model
    assert Counter(node.op_type for node in model.graph)["ConvTranspose"] == transposed
