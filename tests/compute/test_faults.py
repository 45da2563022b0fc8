"""Errors that cross from a worker: every one that a worker may know of, with all it says."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest

from portgrad import errors
from portgrad.compute import faults, frames
from portgrad.errors import InvalidRequest, PortgradError

# Who asks, when to come again and what is quarantined is decided in the HTTP process alone.
NOT_A_WORKERS = {
    *("Unauthenticated", "Forbidden", "Quarantined"),
    *("Wait", "TooManyRequests", "Busy"),
}


def _tree(root: type[PortgradError]) -> Iterator[type[PortgradError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from _tree(kind)


KINDS = {kind.__name__: kind for kind in _tree(PortgradError)}
CROSSING = sorted({*KINDS} - NOT_A_WORKERS)
FIELDS = {"where": "ä/b", "expected": "one", "found": "two\n", "remedy": "Do."}


def crossed(error: PortgradError | OSError) -> PortgradError | OSError:
    frame = frames.pack(faults.plain(error))
    return faults.raised(frames.unpack(frame.text, memoryview(b"")))


@pytest.mark.parametrize("kind", CROSSING)
def test_every_kind(kind: str) -> None:
    for fields in ({}, FIELDS, {**FIELDS, "code": "a_code"}):
        error = KINDS[kind]("A sentence.", **fields)
        found = crossed(error)
        assert type(found) is KINDS[kind]
        assert isinstance(found, PortgradError)
        assert found.fields() == error.fields()
        assert str(found) == str(error)


@pytest.mark.parametrize("kind", sorted(NOT_A_WORKERS))
def test_what_a_worker_cannot_know(kind: str) -> None:
    """As its nearest ancestor that may cross; and nobody can send it as itself."""
    found = crossed(KINDS[kind]("A sentence."))
    assert type(found) is PortgradError
    with pytest.raises(ValueError, match="no error"):
        faults.raised({"kind": kind, "detail": "A sentence."})


class _Inner(InvalidRequest):
    """An error that is private to some module."""


def test_a_private_kind_comes_as_its_ancestor() -> None:
    assert type(crossed(_Inner("A sentence."))) is InvalidRequest


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.ENOENT])
def test_errors_of_disks(number: int) -> None:
    found = crossed(OSError(number, "secret", "/secret/path"))
    assert isinstance(found, OSError)
    assert found.errno == number
    assert "secret" not in str(found)


def test_an_error_of_no_number() -> None:
    assert isinstance(crossed(OSError("words alone")), OSError)


NONE: dict[str, Any] = {
    "nothing": None,
    "a text": "InvalidNet",
    "a list": ["InvalidNet"],
    "no kind": {"detail": "x"},
    "an unknown kind": {"kind": "Surprise", "detail": "x"},
    "a builtin": {"kind": "SystemExit", "detail": "x"},
    "a kind that is no text": {"kind": ["InvalidNet"], "detail": "x"},
    "a detail that is no text": {"kind": "InvalidNet", "detail": 3},
    "a field that is no text": {"kind": "InvalidNet", "detail": "x", "where": {"a": 1}},
    "another field": {"kind": "InvalidNet", "detail": "x", "retry_after": 5},
    "a code with a line": {"kind": "InvalidNet", "detail": "x", "code": "a\r\nb"},
    "a code of capitals": {"kind": "InvalidNet", "detail": "x", "code": "A"},
    "a long code": {"kind": "InvalidNet", "detail": "x", "code": "a" * 65},
    "an errno that is none": {"kind": "OSError", "errno": 1 << 40},
    "a negative errno": {"kind": "OSError", "errno": -1},
}


@pytest.mark.parametrize("what", NONE)
def test_nothing_else_is_taken(what: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        faults.raised(NONE[what])
