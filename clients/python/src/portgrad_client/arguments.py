"""The arguments of calls that are no arrays, as the service takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, TypeAlias, TypedDict

import numpy as np

from portgrad_client.casting import as_array, nearest
from portgrad_client.dtypes import ArrayLike
from portgrad_client.errors import InvalidRequestError

Target: TypeAlias = str | Sequence[str]
Targets: TypeAlias = str | Sequence[Target]
Wanted: TypeAlias = bool | Sequence[str] | None


class Settings(TypedDict, total=False):
    """How a net is run: options that every call takes.

    Attributes:
        parameters: arrays that stand for parameters in this call, by name, each of its shape.
        mode: "test", the default, or "train": normalisation by the batch's own statistics, and
            dropout at the net's ratio.
        random_seed: what random numbers are drawn from, a whole number from 0 below 2**63. The
            same gives the same numbers; left out it is drawn anew, and the answer tells it.
        precision: "float64" runs the net in double; its ports and parameters then take float64,
            and the answer is float64.
        batch: forces a reading of the shapes: "as_is", "example" or "each".
    """

    parameters: Mapping[str, ArrayLike] | None
    mode: str | None
    random_seed: int | None
    precision: str | None
    batch: str | None


def check_settings(settings: Mapping[str, Any], call: str) -> None:
    """Refuse a keyword that is none of the settings, as Python refuses any other.

    Raises:
        TypeError: there is one.
    """
    for name in settings:
        if name not in Settings.__annotations__:
            offer = nearest(name, Settings.__annotations__)
            raise TypeError(f"{call}() takes no argument {name!r}. {offer or ''}".rstrip())


def given(**options: Any) -> dict[str, Any]:
    """The options that are not None, which stands for the service's default.

    Raises:
        InvalidRequestError: `invalid_field`, for what JSON cannot hold.
    """
    return {name: _plain(value, name) for name, value in options.items() if value is not None}


def _plain(value: Any, field: str) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bool | int | float | str | list | Mapping):
        return value
    raise wrong_kind(field, "a word, a number, a list, True or False", value)


def names(outputs: Wanted) -> bool | list[str] | None:
    """`outputs` as a list where it names some.

    Raises:
        InvalidRequestError: `invalid_field`.
    """
    if outputs is None or isinstance(outputs, bool):
        return outputs
    if isinstance(outputs, list | tuple) and all(isinstance(name, str) for name in outputs):
        return list(outputs)
    raise wrong_kind("outputs", "True, or a list of names", outputs)


def targets(asked: Targets | None, field: str) -> str | list[str | list[str]] | None:
    """A group or name as it is; a list with its paths as lists; None as it is.

    Raises:
        InvalidRequestError: `invalid_field`.
    """
    if asked is None or isinstance(asked, str):
        return asked
    if isinstance(asked, list | tuple):
        items = [list(item) if isinstance(item, tuple) else item for item in asked]
        if all(isinstance(word, str) for item in items for word in _words(item)):
            return items
    raise wrong_kind(field, "a name, or a list of names and paths", asked)


def whole_number(value: Any, field: str) -> int | None:
    """A whole number of Python's own, whichever kind of integer it is; None stays None.

    Raises:
        InvalidRequestError: `invalid_field`.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong_kind(field, "a whole number", value)
    return index(value)


def whole_numbers(value: ArrayLike, field: str) -> Any:
    """A whole number, or nested lists of them.

    Raises:
        InvalidRequestError: `invalid_field`, `ragged_array`.
    """
    array = as_array(value, field)
    if array.dtype.kind in "iu":
        return array.tolist()
    raise wrong_kind(field, "whole numbers", value)


def _words(item: Any) -> list[Any]:
    return item if isinstance(item, list) else [item]


def wrong_kind(field: str, expected: str, found: Any) -> InvalidRequestError:
    """The error for an argument that is something else than it should be."""
    return InvalidRequestError(
        f"The argument {field!r} is of the wrong kind.",
        code="invalid_field",
        where=field,
        expected=expected,
        found=repr(found)[:80],
    )
