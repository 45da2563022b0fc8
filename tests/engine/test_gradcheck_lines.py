"""What differences along a line tell where corners are small or near, and numbers coarse."""

from __future__ import annotations

import numpy as np
import pytest

from portgrad.engine.gradcheck.slopes import Claim, ladder, sides, tolerance_for
from support.engine import Array, engine_net


@pytest.mark.parametrize("seed", [20, 25, 40, 67, 97])
def test_kinks_small_and_near_are_no_disagreement(seed: int) -> None:
    """Relu's gradient is right on its corner, also where another one is a step away."""
    at = np.random.default_rng(seed).standard_normal(6).astype(np.float32)
    at[seed % 6], at[(seed + 1) % 6] = 0, 0.05 * at[(seed + 1) % 6]
    net = engine_net("(float[n] x) => (float[n] y) { y = Relu(x) }")
    report = net.gradcheck(at, precision="native", random_seed=seed)
    assert report.targets["x"].verdict == "kink"


@pytest.mark.parametrize("off", [0.005, -0.01])
def test_a_wrong_gradient_of_coarse_numbers_disagrees(off: float) -> None:
    eps = float(np.finfo(np.float32).eps)
    x, v = np.random.default_rng(3).standard_normal((2, 16)).astype(np.float32)

    def outputs(t: float) -> list[Array]:
        return [np.sin(x + np.float32(t) * v).astype(np.float64)]

    weights, middle = [np.ones(16)], outputs(0)
    steps = [sides(h, weights, outputs(-h), middle, outputs(h)) for h in ladder(eps)]
    slope = float(np.cos(x) @ v)
    spread = float(np.linalg.norm(np.cos(x) * v))
    for found, verdict in ((slope, "ok"), (slope + off * steps[-1].activity, "disagrees")):
        assert Claim(found, spread, eps, tolerance_for(eps)).judge(steps).verdict == verdict
