"""What the location of an external-data file may be. It is a key, never a path on our disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath, PureWindowsPath

from portgrad.errors import InvalidRequest

LONGEST = 1024


def check_location(location: str, others: Iterable[str]) -> str:
    """The one spelling of a location that nothing in `others` may share.

    Raises:
        InvalidRequest: `invalid_location`, for all but a relative path of plain names.
    """
    reason = _reason(location)
    if reason:
        raise _refusal(location, reason)
    spelling = str(PurePosixPath(location))
    if spelling in others:
        raise _refusal(location, "a file of this upload has that location already")
    return spelling


def _refusal(location: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"External data cannot have the location {location[:80]!r}: {reason}.",
        code="invalid_location",
        where="external",
        expected="the relative path that the model writes, such as `weights.bin`, once",
        remedy="Save the model with its external data beside it, and upload each file under "
        "exactly the location that the model names.",
    )


def _reason(location: str) -> str | None:
    path = PurePosixPath(location)
    checks = {
        f"it is longer than {LONGEST} characters": len(location) > LONGEST,
        "it holds a character that cannot be printed": not location.isprintable(),
        "it holds a backslash": "\\" in location,
        "it is absolute": path.is_absolute() or PureWindowsPath(location).drive != "",
        "it leaves the model's folder": ".." in path.parts,
        "it names no file": not path.name or location.endswith(("/", "/.")),
    }
    return next((reason for reason, holds in checks.items() if holds), None)
