"""What is said of fields that are not there, or do not take what came."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from portgrad.errors import InvalidRequest
from portgrad.graph.nearest import offer

# What came may be too deep, or too much, for repr.
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = _SHOWN.maxlong = 80


def shown(value: Any) -> str:
    """What came, as Python writes it, at a bearable length whatever it is."""
    return _SHOWN.repr(value)


def field_error(
    problems: Iterable[Mapping[str, Any]], takes: Mapping[str, str | None]
) -> InvalidRequest:
    """The first of pydantic's findings as one of ours.

    Args:
        problems: what pydantic found.
        takes: the fields that there are, and what each one takes where pydantic cannot tell.
    """
    first = next(iter(problems))
    place = [str(part) for part in first["loc"] if part not in ("query", "path")]
    # A union reports the branch it tried last in brackets or as a type's name: of no use here.
    name = place[0] if place else "body"
    if first["type"] == "extra_forbidden":
        return unknown_field(name, takes)
    return InvalidRequest(
        f"The field {name!r} does not take this.",
        code="invalid_field",
        where=name,
        expected=takes.get(name) or first["msg"],
        found=shown(first.get("input")),
        remedy="Correct the field; the API's reference lists what each one takes.",
    )


def unknown_field(name: str, takes: Iterable[str]) -> InvalidRequest:
    """What is said of a field that does not exist.

    Args:
        name: the field.
        takes: the fields that there are.
    """
    return InvalidRequest(
        f"There is no field {name!r} here.",
        code="unknown_field",
        where=name,
        expected=", ".join(takes) or None,
        remedy=offer(name, takes) or "Leave it out, or look it up in the API's reference.",
    )
