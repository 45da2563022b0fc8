"""Pads of some axes: the runtime's optimizer is wrong about them beside a Transpose."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import portgrad

X = np.random.default_rng(0).standard_normal((2, 3, 2, 4)).astype(np.float32)
# Some of these fail in the runtime; all four axes out of order are silently wrong.
CASES = [
    ([3], [2, 0]),
    ([-1], [2, 1]),
    ([1, 3], [0, 1, 2, 0]),
    ([2, 1, 3, 0], [1, 0, 2, 0, 0, 1, 0, 3]),
]


def _net(axes: list[int], pads: list[int], *, fixed: bool) -> onnx.ModelProto:
    port = "" if fixed else f", int64[{len(pads)}] p"
    model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["": 21]>
    net (float[2,3,2,4] x{port}) => (float[a,b,c,d] y) {{
        t = Transpose<perm = [0,2,1,3]>(x) u = Pad(t, p, , axes) y = Transpose<perm = [0,2,1,3]>(u)
    }}""")
    model.graph.initializer.append(numpy_helper.from_array(np.array(axes), "axes"))
    if fixed:
        model.graph.initializer.append(numpy_helper.from_array(np.array(pads), "p"))
    return model


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize(("axes", "pads"), CASES)
def test_a_pad_of_some_axes_is_computed_as_it_is_meant(
    axes: list[int], pads: list[int], fixed: bool
) -> None:
    model = _net(axes, pads, fixed=fixed)
    data = {"x": X} if fixed else {"x": X, "p": np.array(pads)}
    sides = np.zeros((4, 2), np.int64)
    sides[axes] = np.array(pads).reshape(2, -1).T
    want = np.pad(X.transpose(0, 2, 1, 3), sides).transpose(0, 2, 1, 3)
    net = portgrad.load(model.SerializeToString())
    seed = np.random.default_rng(1).standard_normal(want.shape).astype(np.float32)
    outputs, gradients = net.value_and_gradient(data, wrt=["x"], output_gradients={"y": seed})
    np.testing.assert_array_equal(outputs["y"], want)
    # The net is linear: <gradient, x> = <seed, y>.
    np.testing.assert_allclose(np.vdot(gradients["x"], X), np.vdot(seed, want), rtol=1e-5)
