"""The product as a Tesseract: its own runtime serves this file (`TESSERACT_API_PATH`)."""

from __future__ import annotations

from functools import cache

import numpy as np
from pydantic import BaseModel
from tesseract_core.runtime import Array, Differentiable, Float32

from benchmarks.serving import product


class InputSchema(BaseModel):
    """The point."""

    x: Differentiable[Array[(None,), Float32]]


class OutputSchema(BaseModel):
    """The value there."""

    y: Differentiable[Array[(1,), Float32]]


def apply(inputs: InputSchema) -> OutputSchema:
    """The forward pass."""
    return OutputSchema(y=product.value(_weights(len(inputs.x)), inputs.x))


def vector_jacobian_product(
    inputs: InputSchema,
    vjp_inputs: set[str],  # noqa: ARG001  # its runtime passes all by name
    vjp_outputs: set[str],  # noqa: ARG001
    cotangent_vector: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The gradient, times the cotangent of the one output."""
    found = product.gradient(_weights(len(inputs.x)), inputs.x) * cotangent_vector["y"]
    return {"x": found.astype(np.float32)}


_weights = cache(product.weights)
