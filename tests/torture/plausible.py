"""Data for a net of which nothing is known but its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

LARGEST = 100_000  # elements that are sent to one port


def plausible(description: Mapping[str, Any]) -> dict[str, Any]:
    """An array for each input port, as lists: 2 for every open size, small numbers."""
    rng = np.random.default_rng(1)
    return {port["name"]: _data(port, rng) for port in description["inputs"]}


def _data(port: Mapping[str, Any], rng: np.random.Generator) -> Any:
    shape = [size if isinstance(size, int) else 2 for size in port["shape"] or []]
    if np.prod(shape, dtype=float) > LARGEST:
        shape = [min(size, 2) for size in shape]
    kind = str(port["dtype"])
    element = kind.removeprefix("sequence(").removesuffix(")")
    data = _array(element, shape, rng).tolist()
    return data if kind == element else [data]


def _array(dtype: str, shape: list[int], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "float" in dtype:
        return np.asarray(rng.normal(size=shape).round(3))
    whole = np.asarray(rng.integers(0, 3, shape))
    return whole.astype(str) if dtype in {"str", "string", "object"} else whole
