"""Gradients held against differences at the user's data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import portgrad
from support.engine import Array, engine_net

X = "(double[N,3] x) => (double[N,3] y) "
ROW = np.array([[0.5, -1.5, 2.0], [-0.25, 1.0, 3.0]])
ZEROS = np.zeros((2, 3))
HALF, TWO = np.float64(0.5), np.float64(2)


def _verdicts(net: portgrad.Net, data: Any, **options: Any) -> dict[str, str]:
    report = net.gradcheck(data, **options)
    return {name: checked.verdict for name, checked in report.targets.items()}


POINTS: list[tuple[str, str, Mapping[str, Any], Array, str, bool]] = [
    ("smooth", "{ h = Sin(x) y = Exp(h) }", {}, ROW, "ok", True),
    ("corners elsewhere", "{ y = Relu(x) }", {}, ROW, "ok", True),
    ("no effect", "{ h = Mul(x, z) y = Floor(h) }", {"z": np.float64(0)}, ROW, "ok", True),
    ("steps elsewhere", "{ y = Floor(x) }", {}, ROW + 0.1, "ok", True),
    ("relu at 0", "{ y = Relu(x) }", {}, ZEROS, "kink", True),
    ("abs at 0", "{ h = Abs(x) y = Sin(h) }", {}, ZEROS, "kink", True),
    ("a tie", "{ h = Mul(x, t) k = Mul(x, x) y = Max(h, k) }", {"t": TWO}, ZEROS + 2, "kink", True),
    ("floor at 0", "{ y = Floor(x) }", {}, ZEROS, "jump", False),
    ("sign at 0", "{ y = Sign(x) }", {}, ZEROS, "jump", False),
    (
        "a threshold",
        "{ c = Greater(x, h) k = Mul(x, x) y = Where(c, k, x) }",
        {"h": HALF},
        ZEROS + 0.5,
        "jump",
        False,
    ),
    (
        "a threshold over whole numbers",
        "{ i = Cast<to = 7>(x) f = Cast<to = 11>(i) y = Mul(f, x) }",
        {},
        ZEROS + 1,
        "jump",
        False,
    ),
    ("the edge of a domain", "{ y = Sqrt(x) }", {}, ZEROS, "non_finite", False),
    ("beyond it", "{ h = Neg(x) y = Log(h) }", {}, ZEROS + 1, "non_finite", False),
    ("no number at all", "{ y = Sin(x) }", {}, ZEROS + np.nan, "non_finite", False),
    ("too large", "{ h = Mul(x, x) y = Exp(h) }", {}, ZEROS + 1e3, "non_finite", False),
]


@pytest.mark.parametrize(
    ("body", "held", "data", "verdict", "ok"),
    [pytest.param(*point[1:], id=point[0]) for point in POINTS],
)
def test_points_are_told_apart(
    body: str, held: Mapping[str, Array], data: Array, verdict: str, ok: bool
) -> None:
    report = engine_net(X + body, held).gradcheck(data)
    assert report.targets["x"].verdict == verdict
    assert report.ok is ok
    assert report.precision == "float64"
