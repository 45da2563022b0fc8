"""Division by a norm or a deviation."""

from __future__ import annotations

import numpy as np

from support.rig import Row

_RNG = np.random.default_rng(17)
_X = _RNG.permuted(np.linspace(-2.0, 2.5, 24)).reshape(2, 3, 4)
_MAP = _RNG.standard_normal((2, 5, 2, 2))

ROWS = [
    *(Row("LpNormalization", [_X], {"axis": a}, id=f"axis{a}") for a in (0, 1, -1)),
    # The reference leaves out the absolute value for p = 1.
    *(
        Row("LpNormalization", [_X], {"axis": a, "p": 1}, id=f"p1-axis{a}", engine="onnxruntime")
        for a in (0, -2)
    ),
    *(
        Row(
            "LpNormalization",
            [np.array([[0.0, 0.0], [0.0, 2.0]])],
            {"p": p},
            id=f"p{p}-at-0",
            expected={0: [[0.0, 0.0], slope]},
        )
        for p, slope in ((1, [0.5, 0.0]), (2, [0.5, 0.0]))
    ),
    # Its function body adds a float32 constant, so it has no float64 form. The spec's default
    # axes are written down because onnx's inference fails on the default itself.
    *(
        Row("MeanVarianceNormalization", [x], {"axes": axes}, id=name, single_only=True)
        for name, x, axes in (
            ("default", _MAP, [0, 2, 3]),
            ("spatial", _MAP, [2, 3]),
            ("negative", _X, [-1]),
        )
    ),
    Row(
        "MeanVarianceNormalization",
        [np.array([[2.0, 2.0]])],
        {"axes": [1]},
        id="constant",
        expected={0: [[0.0, 0.0]]},
    ),
]
