"""Shapes that a file only promises are not believed: a gradient has its target's shape."""

from __future__ import annotations

import numpy as np
import onnx

import portgrad

# The output is declared (N, 3), like x, but has as many rows as `part`: x is broadcast.
SLOPPY = """<ir_version: 10, opset_import: ["": 21]>
sloppy (float[N, 3] x, int64[1] count, float[10, 3] big) => (float[N, 3] y) {
    zero = Constant<value = int64[1] {0}>()
    part = Slice(big, zero, count)
    y = Add(x, part)
}"""


def test_a_symbol_of_an_output_may_stand_for_another_size() -> None:
    net = portgrad.load(onnx.parser.parse_model(SLOPPY).SerializeToString())
    data = {
        "x": np.ones((1, 3), np.float32),
        "count": np.array([5]),
        "big": np.ones((10, 3), np.float32),
    }
    np.testing.assert_array_equal(net.gradient(data)["x"], np.full((1, 3), 5.0, np.float32))
