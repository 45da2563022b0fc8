"""ai.onnx.ml: support vector machines."""

from __future__ import annotations

from typing import Any

import numpy as np

from rules.rows.classical import TRANSFORMS, floats, row
from support.rows import normal

_KERNELS = {
    "LINEAR": [0.0, 0.0, 0.0],
    "POLY": [0.5, 1.0, 3.0],
    "RBF": [0.3, 0.0, 3.0],
    "SIGMOID": [0.4, 0.2, 3.0],
}


def _vectors(kind: str, count: int, features: int = 3) -> dict[str, Any]:
    return {
        "kernel_type": kind,
        "kernel_params": _KERNELS[kind],
        "support_vectors": floats(count * features, seed=8),
    }


def _machine(kind: str, *per_class: int) -> dict[str, Any]:
    classes, count = len(per_class), sum(per_class)
    return {
        "classlabels_ints": list(range(classes)),
        "coefficients": floats((classes - 1) * count),
        "rho": floats(classes * (classes - 1) // 2, seed=6),
        "vectors_per_class": list(per_class),
        **_vectors(kind, count),
    }


def _probable(kind: str, *per_class: int) -> dict[str, Any]:
    pairs = len(per_class) * (len(per_class) - 1) // 2
    likely = {"prob_a": (-0.5 - np.arange(pairs) / 4).tolist(), "prob_b": [0.1] * pairs}
    return {**_machine(kind, *per_class), **likely}


_TWO = _machine("RBF", 2, 1)
ROWS = [
    *(
        row(
            "SVMRegressor", normal(2, 3), id=kind, coefficients=floats(4), rho=[0.3], n_supports=4,
            **_vectors(kind, 4),
        )
        for kind in _KERNELS
    ),
    row(
        "SVMRegressor", normal(2, 3), id="RBF-narrow", coefficients=floats(4), rho=[0.3],
        n_supports=4, kernel_type="RBF", kernel_params=[4.0, 0.0, 3.0],
        support_vectors=[*(normal(2, 3).ravel() + 0.3).tolist(), *[3.0] * 3, *[-3.0] * 3],
    ),
    row(
        "SVMRegressor", normal(2, 3), id="square", coefficients=floats(4), rho=[0.3], n_supports=4,
        kernel_type="POLY", kernel_params=[0.5, 1.0, 2.0], support_vectors=floats(12, seed=8),
    ),
    row(
        "SVMRegressor", normal(2, 3), id="no-vectors", coefficients=floats(3), rho=[0.3],
        kernel_params=[0.0] * 3,
    ),
    row(
        "SVMRegressor", normal(3), id="vector", coefficients=floats(4), rho=[0.3], n_supports=4,
        **_vectors("RBF", 4),
    ),
    *(row("SVMClassifier", normal(2, 3), id=kind, **_machine(kind, 2, 3)) for kind in _KERNELS),
    *(
        row("SVMClassifier", normal(2, 3), id=f"two-{kind}", post_transform=kind, **_TWO)
        for kind in TRANSFORMS
    ),
    *(
        row("SVMClassifier", normal(2, 3), id=f"pairs-{kind}", post_transform=kind,
             **_machine("RBF", 2, 1, 3))
        for kind in ("NONE", *TRANSFORMS)
    ),
    row("SVMClassifier", normal(2, 3), id="two-probable", **_probable("RBF", 2, 3)),
    row("SVMClassifier", normal(3, 3), id="probable", **_probable("RBF", 2, 1, 3)),
    row("SVMClassifier", normal(3, 3), id="four-probable", **_probable("POLY", 2, 1, 3, 2)),
    row(
        "SVMClassifier", normal(2, 3), id="probable-SOFTMAX", post_transform="SOFTMAX",
        **_probable("RBF", 2, 1, 3),
    ),
    row(
        "SVMClassifier", normal(2, 3), id="no-vectors", classlabels_strings=["a", "b", "c"],
        coefficients=floats(9), rho=[0.3], kernel_params=[0.0] * 3, post_transform="LOGISTIC",
    ),
]  # fmt: skip
