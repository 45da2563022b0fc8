"""A branch whose condition is constant: onnxruntime puts it in its If's place, not always well."""

from __future__ import annotations

import numpy as np

from support.engine import engine_net, random

NET = """(float[2, 3] x) => (float[2, 3] s, float[6] t) {
    s = Sin(x)
    yes = Constant<value = bool {1}>()
    t = If(yes) <
        then_branch = a () => (float[6] p) {
            flat = Constant<value = int64[1] {-1}>()
            p = Reshape(s, flat)
        },
        else_branch = b () => (float[6] q) {
            flat_too = Constant<value = int64[1] {-1}>()
            c = Cos(s)
            q = Reshape(c, flat_too)
        }
    >
}"""


def test_a_value_that_only_its_branch_reads_is_not_forgotten() -> None:
    x, seeds = random(2, 3), {"s": random(2, 3, seed=1), "t": random(6, seed=2)}
    found = engine_net(NET).gradient(x, output_gradients=seeds, batch="as_is")["x"]
    want = (seeds["s"] + seeds["t"].reshape(2, 3)) * np.cos(x)
    np.testing.assert_allclose(found, want, rtol=1e-6)  # a few roundings of 6e-8
