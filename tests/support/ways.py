"""The two ways of a call: read and written by the HTTP process, or by the worker that runs it."""

from __future__ import annotations

import pytest

from portgrad.compute import reading

WAYS = ("here", "in the worker")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Has each test run both ways, whatever the size of its bodies."""
    if request.param == "in the worker":
        monkeypatch.setattr(reading, "SMALL", -1)
    return str(request.param)
