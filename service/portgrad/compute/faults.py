"""Errors as plain data and back, so that they cross from a worker to the HTTP process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from portgrad.errors import PortgradError

_FIELDS = ("code", "where", "expected", "found", "remedy")


def plain(error: PortgradError) -> dict[str, Any]:
    """An error of `portgrad.errors`, or the nearest ancestor that is one, as plain data."""
    kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _KINDS)
    return {"kind": kind, **error.fields()}


def raised(told: Mapping[str, Any]) -> PortgradError:
    """The error that was told.

    Raises:
        ValueError: this is none.
    """
    kind, detail = _KINDS.get(str(told.get("kind"))), told.get("detail")
    fields = {name: told[name] for name in _FIELDS if name in told}
    if kind is None or not all(isinstance(text, str) for text in (detail, *fields.values())):
        raise ValueError("no error that a worker may tell")
    return kind(str(detail), **fields)


def _tree(root: type[PortgradError]) -> Iterator[type[PortgradError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == root.__module__:
            yield from _tree(kind)


_KINDS = {kind.__name__: kind for kind in _tree(PortgradError)}
