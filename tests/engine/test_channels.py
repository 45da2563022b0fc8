"""Gradients of convolutions in the runtime's blocks of channels, against double precision."""

from __future__ import annotations

import platform
from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest
from onnx import numpy_helper, parser

import portgrad
from portgrad.autodiff import gradient_graph
from portgrad.engine import channels
from portgrad.graph.files import NetFiles
from portgrad.graph.load import load

_BLOCKS = pytest.mark.skipif(platform.machine() != "x86_64", reason="blocks of its own")
_RNG = np.random.default_rng(5)
# Weights by name, and what they are of: a kernel (M, C / group, rows, columns) or a vector.
_W = {
    "w16": (16, 16, 3, 3), "v16": (16, 16, 1, 1), "w3": (16, 3, 3, 3), "w24": (24, 16, 1, 1),
    "v24": (16, 24, 3, 3), "d16": (16, 1, 3, 3), "w5": (5, 16, 3, 3), "g16": (16, 8, 3, 3),
    "w4": (4, 16, 1, 1), "v4": (16, 4, 3, 3),
    "b16": (16,), "b24": (24,), "s16": (16,), "m16": (16,), "n16": (16,), "b4": (4,),
}  # fmt: skip
_PAD = "pads = [1, 1, 1, 1]"
_NORM = "BatchNormalization<epsilon = 0.01>"
# What computes y from x (N, C, 6, 5); C; and how many images are laid out anew in the gradient of
# x: into blocks and out of them.
NETS: dict[str, tuple[str, int, tuple[int, int]]] = {
    "relu": (f"c = Conv<{_PAD}>(x, w16, b16) r = Relu(c) y = Conv<{_PAD}>(r, w16)", 16, (2, 1)),
}


def _model(name: str) -> bytes:
    text, inner, _ = NETS[name]
    net = parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 21]> net (float[N, {inner}, 6, 5] x)'
        f" => (float[N, a, b, c] y) {{ {text} }}"
    )
    for weight, shape in _W.items():
        if weight in text:
            array = _RNG.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
            array = np.abs(array) + 0.5 if weight == "n16" else array
            net.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), weight))
    return net.SerializeToString()
