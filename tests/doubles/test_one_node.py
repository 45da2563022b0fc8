"""Small nets that once failed in double precision, or gave something else than in single."""

from __future__ import annotations

import numpy as np
import pytest

from support.engine import engine_net, random

# A window of one tap at each row of an axis has no rows beyond the image, also where it rounds up.
_ROUNDED_UP = "kernel_shape = [3, 1], ceil_mode = 1"
NETS = {
    "LpPool": f"y = LpPool<{_ROUNDED_UP}, p = 2, strides = [2, 1]>(x)",
    "LpPool of columns": "y = LpPool<kernel_shape = [1, 2], ceil_mode = 1, strides = [1, 2]>(x)",
    "LpPool of single rows": "y = LpPool<kernel_shape = [1, 1], ceil_mode = 1>(x)",
    "AveragePool": f"y = AveragePool<{_ROUNDED_UP}, pads = [1, 0, 2, 0]>(x)",
    "AveragePool with its padding": f"y = AveragePool<{_ROUNDED_UP}, strides = [2, 1],"
    " pads = [1, 0, 1, 0], count_include_pad = 1>(x)",
    "Relu and Clip from below": "r = Relu(x) y = Clip(r, low)",
    "Relu and Clip": "r = Relu(x) y = Clip(r, low, high)",
}


@pytest.mark.parametrize("name", NETS)
def test_it_is_as_in_single_precision(name: str) -> None:
    weights = {"low": np.float32(0.3), "high": np.float32(0.9)}
    used = {key: array for key, array in weights.items() if key in NETS[name]}
    net = engine_net(f"(float[N,2,6,7] x) => (float[N,2,P,Q] y) {{ {NETS[name]} }}", used)
    x = random(2, 2, 6, 7)
    (values, got), (exact, want) = (
        (net.evaluate(x, precision=p), net.gradient(x, wrt="all", precision=p))
        for p in (None, "float64")
    )
    for found, right in ((values, exact), (got, want)):
        for key, array in right.items():
            np.testing.assert_allclose(found[key], array, rtol=1e-5, atol=1e-5)
