"""Nodes that no checker refuses and that do not fit together: refused by name, and cheaply."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import portgrad
from portgrad.engine.net import Net
from portgrad.errors import PortgradError
from portgrad.graph.types import shape_of

HUGE = 2**40
IMAGE = "(float[1, 2, 5, 6] x) => (float y)"
CASES = {
    "a window of a pool": (f"{IMAGE} {{ y = AveragePool<kernel_shape = [{HUGE}, 3]>(x) }}", "plac"),
    "a window by a norm": (f"{IMAGE} {{ y = LpPool<kernel_shape = [{HUGE}, 3]>(x) }}", "places"),
    "a crop to nothing": (
        f"""{IMAGE} <int64[4] s = {{1, 2, 3, 3}}> {{
        y = Resize<coordinate_transformation_mode = "tf_crop_and_resize", mode = "linear">
            (x, , , s) }}""",
        "`roi` is left out",
    ),
    "bins of regions": (
        f"""(float[1, 2, 5, 6] x) => (float y)
        <float[1, 4] r = {{0, 0, 3, 3}}, int64[1] b = {{0}}> {{
        y = RoiAlign<output_height = {HUGE}>(x, r, b) }}""",
        "places",
    ),
    "values of another type": (
        """(float[1, 2, 8] x, double[1, 2, 8] v) => (float y) {
        y = Attention<q_num_heads = 2, kv_num_heads = 2>(x, x, v) }""",
        "do not fit",
    ),
}


def _net(body: str) -> Net:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 23]> net {body}')
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return portgrad.load(model.SerializeToString())


@pytest.mark.parametrize(("body", "reason"), CASES.values(), ids=CASES)
def test_a_misfit_is_named(body: str, reason: str) -> None:
    [obstacle] = _net(body).survey().obstacles
    assert reason in obstacle.reason
    assert obstacle.node == "y"


def test_what_only_the_runtime_refuses_is_left_to_it() -> None:
    """Positions with an axis too many."""
    body = """(float[2, 2, 3, 6] x, float[6, 2] c, float[6, 2] s, int64[2, 3, 2] i) => (float y) {
        y = RotaryEmbedding<rotary_embedding_dim = 4>(x, c, s, i) }"""
    net = _net(body)
    assert net.survey().obstacles == ()
    with pytest.raises(PortgradError):
        net.gradient(
            {n: np.zeros(shape_of(v), v.dtype.numpy()) for n, v in net.names.inputs.items()}
        )
