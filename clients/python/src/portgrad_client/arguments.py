"""The arguments of calls that are no arrays, as the service takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from portgrad_client.casting import as_array
from portgrad_client.dtypes import ArrayLike
from portgrad_client.errors import InvalidRequestError

Target: TypeAlias = str | Sequence[str]
Targets: TypeAlias = str | Sequence[Target]
Wanted: TypeAlias = bool | Sequence[str] | None


def given(**options: Any) -> dict[str, Any]:
    """The options that are not None, which stands for the service's default."""
    return {name: value for name, value in options.items() if value is not None}


def names(outputs: Wanted) -> bool | list[str] | None:
    """`outputs` as a list where it names some.

    Raises:
        InvalidRequestError: `invalid_field`.
    """
    if outputs is None or isinstance(outputs, bool):
        return outputs
    if isinstance(outputs, list | tuple) and all(isinstance(name, str) for name in outputs):
        return list(outputs)
    raise _wrong_kind("outputs", "True, or a list of names", outputs)


def targets(asked: Targets, field: str) -> str | list[str | list[str]]:
    """A group or name as it is; a list with its paths as lists.

    Raises:
        InvalidRequestError: `invalid_field`.
    """
    if isinstance(asked, str):
        return asked
    if isinstance(asked, list | tuple):
        items = [list(item) if isinstance(item, tuple) else item for item in asked]
        if all(isinstance(word, str) for item in items for word in _words(item)):
            return items
    raise _wrong_kind(field, "a name, or a list of names and paths", asked)


def unchosen_as_lists(value: ArrayLike, name: str) -> Any:
    """A value whose tensor's dtype only the service knows.

    An array in a dtype that somebody chose stays one; lists, and arrays in the dtypes that NumPy
    gives on its own, become nested lists, which the service casts.
    """
    array = as_array(value, name)
    chosen = isinstance(value, np.ndarray | np.generic) and array.dtype.kind not in "iu"
    return array if chosen and array.dtype != np.float64 else array.tolist()


def _words(item: Any) -> list[Any]:
    return item if isinstance(item, list) else [item]


def _wrong_kind(field: str, expected: str, found: Any) -> InvalidRequestError:
    return InvalidRequestError(
        f"The argument {field!r} is of the wrong kind.",
        code="invalid_field",
        where=field,
        expected=expected,
        found=repr(found)[:80],
    )
