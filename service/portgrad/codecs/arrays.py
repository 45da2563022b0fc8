"""Arrays and raw little-endian bytes: the dtypes that have such bytes, and their checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from portgrad.errors import InvalidRequest, Malformed
from portgrad.graph.nearest import offer

Array = np.ndarray[Any, Any]

# Extension types report the same kind and byte order as raw bytes: their names tell them apart.
DTYPES: dict[str, np.dtype[Any]] = {
    np.dtype(dtype).name: np.dtype(dtype)
    for dtype in (
        np.bool_,
        *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
        *(np.float16, np.float32, np.float64, np.complex64, np.complex128),
        *(ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz),
        *(ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz, ml_dtypes.float8_e8m0fnu),
    )
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def name_of(dtype: np.dtype[Any]) -> str:
    """The dtype's name, which NumPy puts together anew each time that it is asked."""
    return _NAMES.get(dtype) or dtype.name


def is_extension(dtype: np.dtype[Any]) -> bool:
    """Whether the dtype is one of ml_dtypes', which NumPy's own files cannot name."""
    return dtype.isbuiltin == 2


def little_endian(name: str, where: str) -> np.dtype[Any]:
    """The dtype of that name, as it travels."""
    if name in DTYPES:
        return DTYPES[name].newbyteorder("<")
    raise InvalidRequest(
        f"There is no dtype {name!r} with bytes of its own.",
        code="unknown_dtype",
        where=where,
        expected=", ".join(DTYPES),
        found=name,
        remedy=offer(name, DTYPES) or "Send nested lists: they are cast to the port's dtype.",
    )


MOST_DIMENSIONS = 64  # NumPy's
# No bytes of a body pay for what is done for each entry of an empty array.
MOST_EMPTY = 2**24


def from_bytes(
    raw: bytes | bytearray | memoryview, dtype: np.dtype[Any], shape: Sequence[int], where: str
) -> Array:
    """The array that these bytes hold in row-major order; `raw` is not copied."""
    if len(shape) > MOST_DIMENSIONS:  # of thousands even the product takes its time
        raise _unshaped(where, f"{len(shape)} dimensions")
    needed = math.prod(shape) * dtype.itemsize
    if needed != len(raw):
        raise Malformed(
            "The bytes of an array do not fill its shape.",
            code="invalid_array",
            where=where,
            expected=f"{needed} bytes for {dtype.name} of shape {list(shape)}",
            found=f"{len(raw)} bytes",
            remedy="Send every element once.",
        )
    if not needed and math.prod(size for size in shape if size) > MOST_EMPTY:
        raise Malformed(
            "An array without elements has too large a shape.",
            code="invalid_array",
            where=where,
            expected=f"sizes that, but for 0, multiply to at most {MOST_EMPTY}",
            found=str(list(shape))[:80],
            remedy="Send no more empty examples than can be looked at one by one.",
        )
    if dtype == np.bool_ and needed and np.max(np.frombuffer(raw, np.uint8)) > 1:
        raise Malformed(
            "A boolean array has bytes other than 0 and 1.",
            code="invalid_array",
            where=where,
            remedy="Send one byte for each element: 0 for false, 1 for true.",
        )
    try:
        return np.frombuffer(raw, dtype).reshape(shape)
    except ValueError as error:
        raise _unshaped(where, str(error)) from error


def _unshaped(where: str, found: str) -> Malformed:
    return Malformed(
        "No array can have this shape.",
        code="invalid_array",
        where=where,
        expected="at most 64 dimensions, whose sizes, but for 0, multiply to less than 2**63",
        found=found,
        remedy="Send an array of the port's shape.",
    )


def carried(array: Any, name: str, fmt: str, instead: str) -> Array:
    """The array with its elements in row-major order, where `fmt` can carry its dtype.

    Args:
        array: what the answer holds.
        name: its name in the answer.
        fmt: the format, for people.
        instead: what carries what this format does not.
    """
    dtype = getattr(array, "dtype", None)
    name_of_dtype = "values" if dtype is None else name_of(dtype)
    if name_of_dtype not in DTYPES:
        raise not_carried(name, name_of_dtype, fmt, instead)
    return np.asarray(array, order="C")


def not_carried(name: str, dtype: str, fmt: str, instead: str) -> InvalidRequest:
    """The error for a dtype that a format has no way to write."""
    return InvalidRequest(
        f"{fmt} cannot carry {dtype}.",
        code="dtype_not_carried",
        where=name,
        found=dtype,
        remedy=f"Use {instead} instead.",
    )
