"""The product that the service and its peers are compared on, in numpy alone.

y = v tanh(w x + b)      eight units of tanh over a point x of any size, one output
"""

from __future__ import annotations

import numpy as np

UNITS = 8


def weights(size: int) -> dict[str, np.ndarray]:
    """Those for points of this size, by name."""
    rng = np.random.default_rng(0)
    shapes = {"w": (UNITS, size), "b": (UNITS,), "v": (1, UNITS)}
    scales = {"w": size**-0.5, "b": 0.1, "v": UNITS**-0.5}
    return {
        name: (scales[name] * rng.standard_normal(shape)).astype(np.float32)
        for name, shape in shapes.items()
    }


def value(arrays: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """y at x."""
    found: np.ndarray = np.tanh(x @ arrays["w"].T + arrays["b"]) @ arrays["v"].T
    return found


def gradient(arrays: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """That of y at x."""
    hidden = np.tanh(x @ arrays["w"].T + arrays["b"])
    found: np.ndarray = (arrays["v"][0] * (1 - hidden**2)) @ arrays["w"]
    return found
