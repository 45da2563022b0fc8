"""Where the service runs, and where it says that it does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from portgrad.cli.serve import service
from portgrad.errors import PortgradError
from portgrad.settings import Settings


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_only_linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(PortgradError) as refusal:
        service(Settings(data=tmp_path / "data"))
    assert (refusal.value.code, refusal.value.found) == ("needs_linux", platform)
    assert not (tmp_path / "data").exists()
