"""ai.onnx.ml: linear models."""

from __future__ import annotations

import numpy as np

from rules.rows.classical import TRANSFORMS, floats, row
from support.rows import normal

_THREE = {"coefficients": floats(12), "intercepts": [0.1, -0.2, 0.3]}
_ONE = {"coefficients": floats(4), "intercepts": [0.1]}
_PROBABLE = {"coefficients": (normal(12) * 0.03).tolist(), "intercepts": [0.3, 0.2, 0.8]}

ROWS = [
    row("LinearRegressor", normal(2, 4), **_ONE),
    row("LinearRegressor", normal(4), id="vector", **_ONE),
    row("LinearRegressor", normal(2, 4), id="targets", targets=3, **_THREE),
    row("LinearRegressor", normal(2, 4), id="no-intercepts", targets=3, coefficients=floats(12)),
    row("LinearRegressor", normal(2, 4), id="one-logistic", post_transform="LOGISTIC", **_ONE),
    *(
        row("LinearRegressor", normal(2, 4), id=kind, targets=3, post_transform=kind, **_THREE)
        for kind in TRANSFORMS
    ),
    row(
        "LinearRegressor", normal(2, 4), id="PROBIT", targets=3, post_transform="PROBIT",
        **_PROBABLE,
    ),
    row(
        "LinearRegressor", np.array([[0.0], [1.0]]), id="PROBIT-ends", coefficients=[1.0],
        post_transform="PROBIT", expected={0: [[np.inf], [np.inf]]},
    ),
    row("LinearClassifier", normal(2, 4), classlabels_ints=[1, 2, 3], **_THREE),
    row("LinearClassifier", normal(4), id="vector", classlabels_ints=[1, 2, 3], **_THREE),
    row(
        "LinearClassifier", normal(2, 4), id="text", classlabels_strings=["a", "b", "c"],
        multi_class=1, **_THREE,
    ),
    *(
        row(
            "LinearClassifier", normal(2, 4), id=kind, classlabels_ints=[1, 2, 3],
            post_transform=kind, **_THREE,
        )
        for kind in TRANSFORMS
    ),
    *(
        row(
            "LinearClassifier", normal(2, 4), id=f"two-{kind}", classlabels_ints=[0, 1],
            post_transform=kind, **_ONE,
        )
        for kind in ("NONE", *TRANSFORMS)
    ),
    row(
        "LinearClassifier", normal(2, 4), id="PROBIT", classlabels_ints=[1, 2, 3],
        post_transform="PROBIT", **_PROBABLE,
    ),
    row(
        "LinearClassifier", normal(2, 4), id="two-text", classlabels_strings=["no", "yes"],
        post_transform="LOGISTIC", **_ONE,
    ),
]  # fmt: skip
