"""Errors as plain data and back, so that they cross from a worker to the HTTP process.

What cannot be known in a worker is not taken from one: who asks and what they may, when to come
again, and which nets are quarantined.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from portgrad.errors import Forbidden, PortgradError, Quarantined, Unauthenticated, Wait

_OTHERS = (Forbidden, Quarantined, Unauthenticated, Wait)
_FIELDS = ("code", "where", "expected", "found", "remedy")
_DISK = "OSError"


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    """An error as plain data."""

    kind: str
    detail: str = ""
    code: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{1,63}$")] | None = None
    where: str | None = None
    expected: str | None = None
    found: str | None = None
    remedy: str | None = None
    errno: Annotated[int, msgspec.Meta(ge=0, le=4095)] = 0


def plain(error: PortgradError | OSError) -> dict[str, Any]:
    """An error of `portgrad.errors`, or its nearest ancestor that may cross; or one of a disk."""
    if isinstance(error, OSError):
        return {"kind": _DISK, "errno": error.errno or 0}
    kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _KINDS)
    return {"kind": kind, **error.fields()}


def raised(told: Any) -> PortgradError | OSError:
    """The error that was told.

    Raises:
        ValueError: this is none.
    """
    fault = msgspec.convert(told, _Told)
    if fault.kind == _DISK:
        return OSError(fault.errno, os.strerror(fault.errno))
    if fault.kind not in _KINDS:
        raise ValueError("no error that a worker may tell")
    return _KINDS[fault.kind](fault.detail, **{name: getattr(fault, name) for name in _FIELDS})


def _tree(root: type[PortgradError]) -> Iterator[type[PortgradError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == root.__module__ and not issubclass(kind, _OTHERS):
            yield from _tree(kind)


_KINDS = {kind.__name__: kind for kind in _tree(PortgradError)}
