"""Callers' arrays made into what the ports take, or refused before anything is sent.

Python lists and float64 arrays are cast to a floating port's dtype, integers to floating ports
and to integer ports that hold their values; a dtype is widened, and nothing is narrowed silently.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from portgrad_client import safetensors
from portgrad_client.description import Port, Shape
from portgrad_client.dtypes import Array, ArrayLike, dtype_named, is_floating, is_integer, name_of
from portgrad_client.errors import InvalidRequestError

STRING = "string"
_BYTES = ("bool", "complex64", "complex128")


def cast_data(data: ArrayLike, ports: Sequence[Port]) -> dict[str, Any]:
    """An array for each input port, cast and checked against the port.

    Args:
        data: arrays by port, or the bare array where there is one port.
        ports: the net's input ports.

    Raises:
        InvalidRequestError: `missing_port`, `unknown_port`, `wrong_dtype`, `wrong_shape`,
            `ragged_array` or `out_of_range`.
    """
    if not isinstance(data, Mapping):
        if len(ports) != 1:
            raise _missing(ports, ports, "a bare array")
        data = {ports[0].name: data}
    _check_names(list(data), ports)
    arrays = {port.name: cast(data[port.name], port) for port in ports if port.name in data}
    for port in ports:
        if isinstance(arrays.get(port.name), np.ndarray):
            _check_shape(port, arrays[port.name].shape)
    return arrays


def cast(value: ArrayLike, port: Port) -> Any:
    """The value as an array of the port's dtype.

    What has no bytes of its own on the wire (strings, four-bit numbers) comes back as nested
    lists, and what is no tensor as it is.
    """
    same = type(value) is np.ndarray and name_of(value.dtype) == port.dtype
    if not is_tensor(port.dtype) or (same and safetensors.carries(port.dtype)):
        return value
    array = as_array(value, port.name)
    _check_kind(array, value, port)
    if port.dtype != "complex128" and not safetensors.carries(port.dtype):
        return array.tolist()
    return _in_range(array, port)


def output(value: Any, port: Port | None) -> Any:
    """An output as an array, where it came as nested lists for want of bytes of its own."""
    if isinstance(value, np.ndarray) or port is None or not is_tensor(port.dtype):
        return value
    return np.array(value, dtype=object if port.dtype == STRING else None)


def is_tensor(dtype: str) -> bool:
    """Whether a port of that dtype holds an array, and not a sequence, map or optional."""
    return dtype in (STRING, *_BYTES) or is_floating(dtype) or is_integer(dtype)


def as_array(value: ArrayLike, name: str) -> Array:
    """What NumPy makes of the value.

    Raises:
        InvalidRequestError: `ragged_array`.
    """
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError, TypeError) as error:
        raise _ragged(name, str(error)) from error
    strings = array.dtype.kind == "O" and all(isinstance(item, str) for item in array.flat)
    if array.dtype.kind in "OSMm" and not strings:
        raise _ragged(name, f"what NumPy reads as {array.dtype.name}")
    return array


def nearest(name: str, names: Iterable[str]) -> str | None:
    """A sentence that offers the nearest of the names, or None where none is near."""
    by_folded = {known.casefold(): known for known in names}
    close = [by_folded[match] for match in difflib.get_close_matches(name.casefold(), by_folded)]
    return f"Did you mean {' or '.join(repr(match) for match in close)}?" if close else None


def shown(shape: Shape) -> str:
    """A shape for people: symbols as they are, ? where nothing is known."""
    return f"({', '.join('?' if dim is None else str(dim) for dim in shape)})"


def _check_names(given: list[str], ports: Sequence[Port]) -> None:
    known = [port.name for port in ports]
    for name in given:
        if name not in known:
            raise InvalidRequestError(
                f"The net has no input port {name!r}.",
                code="unknown_port",
                where=str(name),
                expected=", ".join(known) or "no data",
                remedy=nearest(str(name), known) or "net.inputs lists the ports.",
            )
    optional = [port.name for port in ports if port.dtype.startswith("optional(")]
    missing = [port for port in ports if port.name not in (*given, *optional)]
    if missing:
        raise _missing(missing, ports, f"arrays for {', '.join(given) or 'no port'}")


def _missing(missing: Sequence[Port], ports: Sequence[Port], found: str) -> InvalidRequestError:
    names = ", ".join(port.name for port in missing)
    return InvalidRequestError(
        f"No data came for the input port {names}." if names else "The net has no input port.",
        code="missing_port",
        where=missing[0].name if missing else None,
        expected=f"a mapping with an array for each of {', '.join(port.name for port in ports)}",
        found=found,
    )


def _check_kind(array: Array, value: ArrayLike, port: Port) -> None:
    if not (_fits_kind(array, value, port.dtype)):
        raise InvalidRequestError(
            f"The array of {port.name!r} is not cast to {port.dtype} silently.",
            code="wrong_dtype",
            where=port.name,
            expected=port.dtype,
            found=array.dtype.name,
            remedy="Convert the array yourself, with .astype(...), if that is what you mean.",
        )


def _fits_kind(array: Array, value: ArrayLike, wanted: str) -> bool:
    found = name_of(array.dtype)
    loose = not isinstance(value, np.ndarray | np.generic)
    if found == wanted or (loose and array.size == 0):
        return True
    if wanted == STRING:
        return array.dtype.kind in "UTO"
    if is_integer(wanted):
        return is_integer(found)
    if is_floating(wanted):
        return is_integer(found) or (is_floating(found) and _widens(found, wanted, loose))
    if wanted.startswith("complex"):
        return array.dtype.kind in "iufc" and (loose or np.can_cast(array.dtype, wanted))
    return False


def _widens(found: str, wanted: str, loose: bool) -> bool:
    # float64 is what NumPy makes of numbers whose precision nobody chose.
    return loose or found == "float64" or np.can_cast(dtype_named(found), dtype_named(wanted))


def _in_range(array: Array, port: Port) -> Array:
    if name_of(array.dtype) == port.dtype:
        return array
    with np.errstate(over="ignore"):
        cast_array = array.astype(dtype_named(port.dtype))
    if is_integer(port.dtype):
        lost = bool((cast_array != array).any())
    elif is_floating(port.dtype):
        lost = bool((np.isfinite(array) & ~np.isfinite(cast_array)).any())
    else:
        lost = False
    if lost:
        raise InvalidRequestError(
            f"A number for {port.name!r} is out of the range of {port.dtype}.",
            code="out_of_range",
            where=port.name,
            expected=f"numbers that {port.dtype} can hold",
            found=array.dtype.name,
        )
    return cast_array


def _check_shape(port: Port, shape: tuple[int, ...]) -> None:
    """Refuse what fits in no reading: as it is, one example, or examples over a leading 1."""
    dims = port.shape
    if dims is None or _fits(dims, shape):
        return
    leading = dims[0] if dims else 0
    if not isinstance(leading, int) or leading == 1:
        as_one = leading == 1 and _fits(dims[1:], shape[1:]) and len(shape) == len(dims)
        if as_one or _fits(dims[1:], shape):
            return
    raise InvalidRequestError(
        f"The array of {port.name!r} does not fit the declared shape.",
        code="wrong_shape",
        where=port.name,
        expected=shown(dims),
        found=str(shape),
        remedy="Send the declared shape, one example without its leading 1 or symbol, or N "
        "examples where the leading dimension is 1.",
    )


def _fits(dims: Shape, shape: tuple[int, ...]) -> bool:
    return len(dims) == len(shape) and all(
        dim == size or not isinstance(dim, int) for dim, size in zip(dims, shape, strict=True)
    )


def _ragged(name: str, found: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The value of {name!r} does not make an array.",
        code="ragged_array",
        where=name,
        expected="an array, or nested lists of equal lengths, of numbers, booleans or strings",
        found=found,
    )
