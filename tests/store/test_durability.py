"""What was acknowledged survives a loss of power: everything is synced, and in the right order.

Files are told apart by their inodes, which keep their numbers when they are renamed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from portgrad.store import LocalStore, Shelf
from support.stored_nets import fill, opened, put

LOCAL = "owners/local"


@pytest.fixture
def store(tmp_path: Path) -> Shelf:
    return opened(tmp_path)


@pytest.fixture
def log(store, monkeypatch: pytest.MonkeyPatch) -> list[int | str]:
    """Inodes as they are synced, and the names of the calls that make things visible."""
    events: list[int | str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append(os.fstat(descriptor).st_ino))
    for name in ("rename", "replace", "unlink"):
        monkeypatch.setattr(os, name, recording(getattr(os, name), name, events))
    return events


def recording(call, name, events):
    def recorded(*args, **options):
        events.append(name)
        return call(*args, **options)

    return recorded


def inode(path: Path) -> int:
    return path.stat().st_ino


def test_a_net_is_synced_before_it_is_visible_and_its_entry_before_it_is_acknowledged(
    store, log, tmp_path
):
    with store.begin() as upload:
        net_id = fill(upload, b"model", {"a": b"1", "b/c": b"2"})
        store.commit(upload, {"opset": 21})
        visible = log.index("rename")
        folder = tmp_path / "nets" / net_id
        content = {inode(folder), *(inode(path) for path in folder.rglob("*"))}
        files = {"model", "external", "0", "1", "manifest", "description"}
        assert len(content) == len({"", *files, "owners", "local"})
        # The list of the owner's nets, and on the way there the folders of a new owner.
        owner = {inode(tmp_path / place) for place in ("owners", LOCAL, f"{LOCAL}/nets")}
        assert set(log[:visible]) == content | owner
        assert log[visible + 1 :] == [inode(tmp_path / "nets")]


def test_another_owner_is_synced_before_it_is_acknowledged(store, log, tmp_path):
    net_id = put(store, b"model")
    other = opened(tmp_path, "other")
    with other.begin() as upload:
        fill(upload, b"model")
        log.clear()
        other.commit(upload, {})
        assert inode(tmp_path / "owners" / "other" / "nets") in log
        assert log[-2:] == [inode(tmp_path / "nets" / net_id / "owners"), inode(tmp_path / "nets")]


def test_sharing_is_synced_before_it_is_acknowledged(store, log, tmp_path):
    net_id = put(store, b"model")
    for shared in (True, False):
        log.clear()
        folder = inode(tmp_path / "shared" / net_id) if not shared else None
        store.share(net_id, shared)
        assert log[-1] == (folder or inode(tmp_path / "shared" / net_id))


def test_a_repaired_net_is_synced_before_it_is_acknowledged(store, log, tmp_path):
    net_id = put(store, b"model", {"a": b"1"})
    folder = tmp_path / "nets" / net_id
    (folder / "model.onnx").write_bytes(b"modeL")
    log.clear()
    put(opened(tmp_path, "other"), b"model", {"a": b"1"})
    last = len(log) - log[::-1].index("replace")
    content = {inode(path) for path in (folder, folder / "external")}
    assert content <= set(log[last:])
    assert {inode(path) for path in folder.rglob("*") if path.is_file()} <= set(log)


def test_a_net_that_another_replica_just_moved_in_is_synced_before_it_is_acknowledged(
    store, log, tmp_path
):
    net_id = put(store, b"model")
    log.clear()
    assert store.has(net_id)
    assert log == [inode(tmp_path / "nets"), inode(tmp_path / "nets" / net_id / "owners")]


def test_a_name_is_synced_before_it_is_visible_and_its_entry_before_it_is_acknowledged(
    store, log, tmp_path
):
    one, two = put(store, b"one"), put(store, b"two")
    for net_id in (one, two):
        log.clear()
        store.bind("net", net_id, replace=True)
        visible = log.index("replace")
        names = tmp_path / LOCAL / "names"
        assert inode(names / "net") in log[:visible]
        assert inode(tmp_path / "nets" / net_id / LOCAL) in log[:visible]
        assert inode(names) in log[visible:]


def test_removals_are_synced_before_they_are_acknowledged(store, log, tmp_path):
    net_id = put(store, b"model")
    store.bind("net", net_id)
    log.clear()
    store.unbind("net")
    assert inode(tmp_path / LOCAL / "names") in log[log.index("unlink") :]
    other = opened(tmp_path, "other")
    put(other, b"model")
    log.clear()
    other.delete(net_id)
    assert inode(tmp_path / "nets" / net_id / "owners") in log[log.index("rename") :]
    log.clear()
    store.delete(net_id)
    assert inode(tmp_path / "nets") in log[log.index("rename") :]


def test_the_folders_of_a_new_store_are_synced(log, tmp_path):
    LocalStore(tmp_path / "a" / "b")
    made = [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert {inode(path) for path in made} <= set(log)
