"""`portgrad keys`: what it refuses, and what it lists."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from portgrad.main import main
from portgrad.store.keys import Keys


def run(monkeypatch: pytest.MonkeyPatch, data: Path, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["portgrad", "keys", *arguments, "--data", str(data)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--owner", "ann", "--scope", "reed"], "no scope 'reed'"),
        (["--owner", "two words", "--scope", "read"], "An owner is a short name"),
        (["--owner", "", "--scope", "read"], "An owner is a short name"),
        (["--owner", "x" * 201, "--scope", "read"], "An owner is a short name"),
        (["--owner", "ann", "--scope", "read", "--expires", "soon"], "a number and a unit"),
        (["--owner", "ann", "--scope", "read", "--expires", "0d"], "a number and a unit"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    assert run(monkeypatch, tmp_path, "create", *arguments) == 1
    assert said in capsys.readouterr().err
    assert Keys(tmp_path).all() == []


@pytest.mark.parametrize("missing", [["--owner", "ann"], ["--scope", "read"]])
def test_owner_and_scope_must_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: list[str]
) -> None:
    assert run(monkeypatch, tmp_path, "create", *missing) == 2


def test_an_unknown_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, "revoke", "0" * 16) == 1
    assert "key_not_found" in capsys.readouterr().err


def test_a_list_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = Keys(tmp_path)
    keys.create("ann", ["read"], max_nets=3)
    keys.create("bob", ["admin"], expires=1.0)
    assert run(monkeypatch, tmp_path, "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    told = [(one["owner"], one["scopes"], one["max_nets"], one["state"]) for one in listed]
    assert told == [("ann", ["read"], 3, "valid"), ("bob", ["admin"], None, "expired")]
    assert all("sha256" not in one for one in listed)
