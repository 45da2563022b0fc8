"""Keys on a disk: only a hash is kept, changes are seen at once by all replicas, damage is told."""

from __future__ import annotations

import os
import re
import stat
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from portgrad.errors import NotFound, StoreFailed
from portgrad.main import main
from portgrad.store import disk
from portgrad.store.keys import KEY, Keys


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_only_a_hash_of_the_secret_is_kept(data: Path) -> None:
    key, text = Keys(data).create("ann", ["read"])
    form = KEY.fullmatch(text)
    assert form
    assert form[1] == key.id
    (file,) = (data / "keys").iterdir()
    content = file.read_text()
    assert form[2] not in content
    assert text not in content
    assert sha256(form[2].encode()).hexdigest() in content
    assert key.sha256 not in repr(key)
    assert key.fits(form[2])
    assert not key.fits("0" * 64)


def test_another_replica_sees_what_this_one_does_at_once(data: Path) -> None:
    here, there = Keys(data), Keys(data)
    assert there.all() == []
    key, _ = here.create("ann", ["read", "write"], max_nets=3)
    assert there.get(key.id) == key
    assert there.get(key.id) is there.get(key.id)  # read once
    here.revoke(key.id)
    found = there.get(key.id)
    assert found is not None
    assert found.revoked is not None
    assert found.scopes == ("read", "write")
    assert found.max_nets == 3
    assert here.revoke(key.id) == found  # twice is no error, and changes nothing
    assert [one.id for one in there.all()] == [key.id]


def test_a_file_that_goes_is_a_key_that_goes(data: Path) -> None:
    keys = Keys(data)
    key, _ = keys.create("ann", ["read"])
    (data / "keys" / f"{key.id}.json").unlink()
    assert keys.get(key.id) is None


@pytest.mark.parametrize("key_id", ["", "0" * 16, "../names/x", "A" * 16, "0" * 17, "é" * 16])
def test_what_is_no_key(data: Path, key_id: str) -> None:
    keys = Keys(data)
    keys.create("ann", ["read"])
    assert keys.get(key_id) is None
    with pytest.raises(NotFound) as caught:
        keys.revoke(key_id)
    assert caught.value.code == "key_not_found"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"owner": "ann"}', '{"odd": 1, "scopes": []}'])
def test_a_damaged_key_opens_nothing_and_is_told(data: Path, content: str) -> None:
    keys = Keys(data)
    key, _ = keys.create("ann", ["read"])
    (data / "keys" / f"{key.id}.json").write_text(content)
    with pytest.raises(StoreFailed) as caught:
        keys.get(key.id)
    assert caught.value.code == "store_damaged"
    assert str(data) not in str(caught.value)


def test_a_key_is_on_the_disk_before_it_is_shown(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, then the rename, then the folder's entry: each of them synced."""
    told: list[str] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        told.append(f"{kind} {len(list((data / 'keys').glob('*.json')))}")
        sync(descriptor)

    monkeypatch.setattr(disk.os, "fsync", watched)
    Keys(data).create("ann", ["read"])
    assert told[-2:] == ["file 0", "folder 1"]


def test_the_command_line(
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PORTGRAD_DATA", str(data))
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["portgrad", "keys", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
        return capsys.readouterr().out

    text = run("create", "--owner", "ann", "--scope", "read", "--scope", "compute",
               "--expires", "90d", "--requests-per-minute", "60", "--max-concurrent", "4",
               "--max-nets", "10", "--max-bytes", "1000").strip()  # fmt: skip
    form = KEY.fullmatch(text)
    assert form
    (key,) = Keys(data).all()
    assert key.fits(form[2])
    assert (key.owner, key.scopes) == ("ann", ("compute", "read"))
    assert key.expires == pytest.approx(key.created + 90 * 86400, abs=60)
    assert (key.requests_per_minute, key.max_concurrent) == (60, 4)
    assert (key.max_nets, key.max_bytes) == (10, 1000)

    assert run("revoke", key.id) == f"The key {key.id} of ann is revoked.\n"
    listed = run("list")
    assert re.search(rf"{key.id}.* ann .*compute read.* revoked", listed)
    assert form[2] not in listed + caplog.text
    assert [record.getMessage() for record in caplog.records] == [
        f"key_created owner=ann key={key.id} scopes=compute,read",
        f"key_revoked owner=ann key={key.id}",
    ]
