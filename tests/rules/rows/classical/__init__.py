"""Rows of ai.onnx.ml, whose kernels compute in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from support.rig import Row
from support.rows import normal

TRANSFORMS = ("SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")


def row(
    op: str, *operands: np.ndarray, id: str = "", expected: Any = None, **attributes: Any
) -> Row:
    """A row; of a classifier, the one of its scores."""
    classifier = op.endswith("Classifier")
    return Row(
        op,
        operands,
        attributes,
        id=id,
        outputs=2 if classifier else 1,
        of=(1,) if classifier else None,
        domain="ai.onnx.ml",
        single_only=True,
        expected=expected,
    )


def floats(count: int, seed: int = 5) -> list[float]:
    """An attribute of as many numbers."""
    numbers: list[float] = normal(count, seed=seed).tolist()
    return numbers
