"""Dtypes by name. NumPy has no bfloat16 or float8: ml_dtypes gives them, where it is installed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from portgrad_client.errors import DtypeUnavailableError

Array: TypeAlias = np.ndarray[Any, Any]
# What NumPy makes an array of: arrays, scalars, nested lists, and anything with `__array__`.
ArrayLike: TypeAlias = Any


@cache
def name_of(dtype: np.dtype[Any]) -> str:
    """The dtype's name, which NumPy puts together anew each time that it is asked."""
    return dtype.name


@cache
def dtype_named(name: str) -> np.dtype[Any]:
    """The dtype of that name.

    Raises:
        DtypeUnavailableError: NumPy has none, and ml_dtypes is not installed or has none either.
    """
    try:
        named: np.dtype[Any] = np.dtype(name)
    except TypeError:
        named = np.dtype(_extension(name))
    return named


def _extension(name: str) -> Any:
    try:
        found = getattr(import_module("ml_dtypes"), name, None)
    except ImportError as error:
        raise DtypeUnavailableError(
            f"NumPy has no dtype {name!r}.",
            where=name,
            remedy="Install the package ml_dtypes, which has it: pip install ml-dtypes.",
        ) from error
    if found is None:
        raise DtypeUnavailableError(f"Neither NumPy nor ml_dtypes has a dtype {name!r}.")
    return found


def is_floating(name: str) -> bool:
    """Whether a dtype of that name holds real floating-point numbers."""
    return name.startswith(("float", "bfloat"))


def is_integer(name: str) -> bool:
    """Whether a dtype of that name holds integers."""
    return name.startswith(("int", "uint"))


def little_endian(array: Array) -> Array:
    """The array with its elements in row-major, little-endian order; not copied if they are."""
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def from_bytes(
    raw: bytes | memoryview, dtype: np.dtype[Any], shape: list[int], *, copy: bool = True
) -> Array:
    """An array in the machine's byte order; of its own memory and writable, unless not a `copy`."""
    return np.frombuffer(raw, dtype.newbyteorder("<")).reshape(shape).astype(dtype, copy=copy)
