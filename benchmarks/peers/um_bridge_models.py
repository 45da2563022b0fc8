"""The product as UM-Bridge models, one for each size: `python -m benchmarks.peers.um_bridge_models
PORT SIZE...`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import umbridge

from benchmarks.serving import product


class Product(umbridge.Model):
    """The net of one size."""

    def __init__(self, size: int) -> None:
        super().__init__(f"product_{size}")
        self._size, self._weights = size, product.weights(size)

    def get_input_sizes(self, _config: Any) -> list[int]:
        """Of the point."""
        return [self._size]

    def get_output_sizes(self, _config: Any) -> list[int]:
        """Of the value there."""
        return [1]

    def __call__(self, parameters: list[list[float]], _config: Any) -> list[list[float]]:
        """The forward pass."""
        found = product.value(self._weights, np.array(parameters[0], np.float32))
        return [found.tolist()]

    def gradient(
        self,
        _out: int,
        _into: int,
        parameters: list[list[float]],
        sens: list[float],
        _config: Any,
    ) -> list[float]:
        """The gradient, times the cotangent of the one output."""
        found = product.gradient(self._weights, np.array(parameters[0], np.float32)) * sens[0]
        gradient: list[float] = found.tolist()
        return gradient

    def supports_evaluate(self) -> bool:
        """It does."""
        return True

    def supports_gradient(self) -> bool:
        """It does."""
        return True


if __name__ == "__main__":
    umbridge.serve_models([Product(int(size)) for size in sys.argv[2:]], int(sys.argv[1]))
