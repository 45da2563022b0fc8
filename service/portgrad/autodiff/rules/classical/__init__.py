"""Rules of ai.onnx.ml, the classical models."""

from portgrad.autodiff.rules.classical import (
    flat,
    linear,
    moving,
    scaling,
    svm,
)

__all__ = [
    "flat",
    "linear",
    "moving",
    "scaling",
    "svm",
]
