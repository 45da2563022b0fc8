"""Batches of no examples in a symbolic dimension.

The runtime fails on empty arrays in several kernels and ends the process in some. So the net runs
on one example of zeros, which tells shapes and dtypes, and the results are cut to nothing: outputs
have no entries, and the total of no gradients is zero.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from portgrad.engine.arrays import Array, Value, blank
from portgrad.engine.batches import Dims, Reading


def empty_symbol(ports: Mapping[str, Dims | None], reading: Reading) -> str | None:
    """The one symbol of size 0, if it leads every port that has it."""
    zeros = [symbol for symbol, size in reading.sizes.items() if size == 0]
    if len(zeros) != 1 or any(dims and zeros[0] in dims[1:] for dims in ports.values()):
        return None
    return zeros[0]


def in_all(symbol: str, shapes: Iterable[Dims | None]) -> bool:
    """Whether a symbol is in every shape."""
    return all(dims is not None and symbol in dims for dims in shapes)


def one_of_zeros(data: Mapping[str, Value], ports: Collection[str]) -> dict[str, Value]:
    """The data with one example of zeros at the ports that carry none."""
    return {
        name: blank(value, (1, *value.shape[1:]))
        if isinstance(value, np.ndarray) and name in ports
        else value
        for name, value in data.items()
    }


def as_one(imposed: Array) -> Array:
    """Zeros to impose on one example, in the place of an array for none."""
    return np.zeros([size or 1 for size in imposed.shape], imposed.dtype)


def cut(array: Array, dims: Dims | None, symbol: str) -> Array:
    """An array of one example without it."""
    return array[tuple(slice(0 if dim == symbol else None) for dim in dims or ())]
