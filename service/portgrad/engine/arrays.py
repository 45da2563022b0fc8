"""Arrays as callers send them, made into what a port takes. Nothing is narrowed without a word.

A port that is a sequence of tensors takes a list of arrays and gives one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias, TypeGuard

import ml_dtypes
import numpy as np

from portgrad.errors import InvalidRequest, NotBuilt

Array: TypeAlias = np.ndarray[Any, Any]
ArrayLike: TypeAlias = Array | list[Any] | float | int | bool | str
# What a port holds: an array, or a list of them where it is a sequence.
Value: TypeAlias = Array | list[Array]
# The names of some arrays, and after these the shape of each.
Shapes: TypeAlias = tuple[str | tuple[int, ...], ...]

STRING = np.dtype(object)
_NAMED = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


@lru_cache(64)
def dtype_named(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a port's dtype name; strings are Python objects."""
    if name in {"string", "str", "object"}:
        return STRING
    return np.dtype(getattr(ml_dtypes, name, name))


def shapes_of(values: Mapping[str, Value]) -> Shapes | None:
    """Names and shapes of arrays; None where a list of arrays is among them."""
    try:
        return (*values, *[value.shape for value in values.values()])  # type: ignore[union-attr]
    except AttributeError:
        return None


def fits_as_it_is(value: object, dtype: np.dtype[Any]) -> TypeGuard[Array]:
    """Whether a caller's value is what `as_port_array` would make of it."""
    return type(value) is np.ndarray and value.dtype == dtype and value.flags.c_contiguous


def as_port_value(value: ArrayLike, kind: str, where: str) -> Value:
    """A caller's value in a port's type.

    Args:
        value: as for `as_port_array`; for a sequence a list of such.
        kind: the port's type by name, such as `float32` or `sequence(float32)`.
        where: the port, for messages.

    Raises:
        InvalidRequest: as `as_port_array`; `not_a_list`.
        NotBuilt: the port is neither a tensor nor a sequence of tensors.
    """
    element = kind.removeprefix("sequence(").removesuffix(")") if "(" in kind else kind
    if "(" in element or element == "unknown" or kind.startswith(("optional", "sparse")):
        raise NotBuilt(
            f"Data for {where!r}, which is {kind}, cannot be sent yet.",
            where=where,
            expected="ports that are tensors or sequences of tensors",
            found=kind,
            remedy="Cut the net behind this port and upload the rest.",
        )
    if element == kind:
        return as_port_array(value, kind, where)
    if not isinstance(value, list | tuple):
        raise _not_a_list(where, kind)
    return [as_port_array(one, element, f"{where}[{i}]") for i, one in enumerate(value)]


def as_port_array(value: ArrayLike, dtype: str, where: str) -> Array:
    """A caller's array in a port's dtype.

    Args:
        value: an array, whose dtype must be the port's, or nested lists, which are cast.
        dtype: the port's dtype by name.
        where: the port, for messages.

    Raises:
        InvalidRequest: `wrong_dtype`, `ragged_array`, `out_of_range`.
    """
    wanted = dtype_named(dtype)
    if not isinstance(value, np.ndarray | np.generic):
        return _from_lists(value, wanted, where)
    array = np.asarray(value)
    strings = wanted is STRING and array.dtype.kind in "UT"
    if array.dtype.newbyteorder("=") != wanted and not strings:
        raise _wrong_dtype(where, wanted, array.dtype.name)
    return np.ascontiguousarray(array, wanted).reshape(array.shape)


def _from_lists(value: Any, wanted: np.dtype[Any], where: str) -> Array:
    natural = _natural(value, where)
    if wanted is STRING:
        if natural.dtype.kind != "U" and natural.size:
            raise _wrong_dtype(where, wanted, natural.dtype.name)
        return natural.astype(object)
    if natural.dtype.kind == "U":
        natural = _with_named_numbers(value, wanted, where)
    if not _fits_kind(natural, wanted):
        raise _wrong_dtype(where, wanted, natural.dtype.name)
    return _in_range(natural, wanted, where)


def _natural(value: Any, where: str) -> Array:
    try:
        natural = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise _ragged(where) from error
    if natural.dtype.kind not in "biufU":
        raise _ragged(where)
    return natural


def _with_named_numbers(value: Any, wanted: np.dtype[Any], where: str) -> Array:
    """Lists that mix numbers with "NaN", "Infinity" and "-Infinity"."""

    def number(item: Any) -> Any:
        if isinstance(item, list | tuple):
            return [number(one) for one in item]
        if isinstance(item, str):
            if item not in _NAMED:
                raise _wrong_dtype(where, wanted, f"the string {item[:40]!r}")
            return _NAMED[item]
        return item

    return _natural(number(value), where)


def _fits_kind(natural: Array, wanted: np.dtype[Any]) -> bool:
    if natural.size == 0:
        return True
    if wanted.kind == "b":
        return bool(natural.dtype.kind == "b")
    return natural.dtype.kind in ("iu" if wanted.kind in "iu" else "iuf")


def _in_range(natural: Array, wanted: np.dtype[Any], where: str) -> Array:
    with np.errstate(over="ignore"):
        cast = natural.astype(wanted)
    if wanted.kind in "iu":
        lost = bool(np.any(cast != natural))
    else:
        lost = wanted.kind != "b" and bool(
            (np.isfinite(natural) & ~np.isfinite(cast.astype(np.float64))).any()
        )
    if lost:
        raise InvalidRequest(
            f"A number is out of the range of {wanted.name}.",
            code="out_of_range",
            where=where,
            expected=f"numbers that fit {wanted.name}",
            remedy='Send finite numbers within the range, or "Infinity" where that is meant.'
            if wanted.kind == "f"
            else "Send whole numbers within the range.",
        )
    return cast


def _wrong_dtype(where: str, wanted: np.dtype[Any], found: str) -> InvalidRequest:
    name = "string" if wanted is STRING else wanted.name
    double = found == "float64" and name in ("float16", "bfloat16", "float32")
    otherwise = ', or run the net in double with `precision: "float64"`' if double else ""
    return InvalidRequest(
        f"{where!r} takes {name}.",
        code="wrong_dtype",
        where=where,
        expected=name,
        found=found,
        remedy=f"Send the array as {name}{otherwise}; nothing is cast without being asked.",
    )


def _not_a_list(where: str, kind: str) -> InvalidRequest:
    return InvalidRequest(
        f"{where!r} takes a list of arrays.",
        code="not_a_list",
        where=where,
        expected=f"a list of arrays, for {kind}",
        found="one value",
        remedy="Put the arrays into a list, even a single one.",
    )


def _ragged(where: str) -> InvalidRequest:
    return InvalidRequest(
        f"The lists of {where!r} do not make an array.",
        code="ragged_array",
        where=where,
        expected="nested lists of equal lengths, of numbers or strings alone",
        found="lists of differing lengths, an item that is neither number nor string, or more "
        "than 64 levels",
        remedy="Make the lists of each level equally long, and fill them with numbers alone or "
        'strings alone; missing values are "NaN".',
    )


def blank(value: Value, shape: tuple[int, ...]) -> Array:
    """An array of zeros, or of empty strings, in the dtype of a value."""
    dtype = np.asarray(value).dtype
    return np.full(shape, "", object) if dtype == STRING else np.zeros(shape, dtype)
