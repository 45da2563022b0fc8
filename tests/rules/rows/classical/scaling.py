"""ai.onnx.ml: features that are scaled, normalised and filled in."""

from __future__ import annotations

import numpy as np

from rules.rows.classical import row
from support.rows import normal

NAN = float("nan")

ROWS = [
    row("Scaler", normal(2, 3), offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0]),
    row("Scaler", normal(2, 3), id="one", offset=[1.0], scale=[0.5]),
    row("Scaler", normal(3), id="vector", offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0]),
    row("Scaler", normal(2, 3, 2), id="ranks", offset=[1.0, 2.0, 3.0], scale=[0.5, 2.0, -1.0]),
    row(
        "Imputer", np.array([[1.0, 0.0, 3.0], [0.0, 5.0, 6.0]]), id="value",
        imputed_value_floats=[7.0, 8.0, 9.0], replaced_value_float=0.0,
        expected={0: [[1, 0, 1], [0, 1, 1]]},
    ),
    row(
        "Imputer", np.array([[1.0, NAN], [NAN, 5.0]]), id="nan",
        imputed_value_floats=[7.0], replaced_value_float=NAN, expected={0: [[1, 0], [0, 1]]},
    ),
    row(
        "Imputer", np.array([[1.0, 2.0], [3.0, 5.0]]), id="too-many",
        imputed_value_floats=[7.0, 8.0, 9.0], replaced_value_float=2.0,
        expected={0: [[1, 0], [1, 1]]},
    ),
    row(
        "Imputer", np.array([[[1.0, 2.0]], [[2.0, 5.0]]]), id="ranks",
        imputed_value_floats=[7.0], replaced_value_float=2.0,
        expected={0: [[[1, 0]], [[0, 1]]]},
    ),
    *(row("Normalizer", normal(3, 4), id=norm, norm=norm) for norm in ("MAX", "L1", "L2")),
    *(row("Normalizer", normal(4), id=f"{norm}-vector", norm=norm) for norm in ("MAX", "L1", "L2")),
    *(
        row("Normalizer", np.zeros((1, 2)), id=f"{norm}-of-0", norm=norm, expected={0: [[0, 0]]})
        for norm in ("L1", "L2")
    ),
    row("Normalizer", np.array([[-2.0, 0.0]]), id="MAX-of-0", expected={0: [[1, 1]]}),
    row("Normalizer", np.array([[2.0, 2.0, -4.0]]), id="MAX-tie", expected={0: [[0.5, 0.5, 0.5]]}),
]  # fmt: skip
