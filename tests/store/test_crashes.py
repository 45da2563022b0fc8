"""Processes killed with -9 anywhere: a store is always as it was before a call, or after it."""

from __future__ import annotations

import os
from pathlib import Path

from portgrad.errors import NotFound
from portgrad.graph.files import NetFiles
from portgrad.store import LocalStore
from support.store_replicas import run
from support.stored_nets import every_id, leftovers, put

ONE = NetFiles(b"one", {"weights.bin": b"w" * 100, "sub/more.bin": b"m"}).net_id()
TWO = NetFiles(b"two").net_id()

# What can be seen of a store along `replicas.one_life`. Removing a net is the one call with a
# state in between: its names go first, so that whoever asks again removes the rest.
STATES = [
    ({}, []),
    ({}, [ONE]),
    ({"moves": ONE}, [ONE]),
    ({"moves": ONE, "stays": ONE}, [ONE]),
    ({"moves": ONE, "stays": ONE}, [ONE, TWO]),
    ({"moves": TWO, "stays": ONE}, [ONE, TWO]),
    ({"moves": TWO}, [ONE, TWO]),
    ({"moves": TWO}, [TWO]),
    ({}, [TWO]),
]


def seen(store: LocalStore) -> tuple[dict[str, str], list[str]]:
    ids = every_id(store)
    for net_id in ids:
        store.verify(net_id)
        assert isinstance(store.description(net_id), dict)
    names = {name: net_id for net_id in ids for name in store.names(net_id)}
    for name in ("moves", "stays"):
        try:
            resolved = store.resolve(name)
        except NotFound:
            resolved = None
        assert names.get(name) == resolved
    return names, sorted(ids)


def test_killed_at_each_step_a_store_is_as_before_or_after_the_call(tmp_path):
    run("crash_at_each_step", tmp_path)
    last = -1
    for note in sorted(tmp_path.glob("*.acknowledged")):
        acknowledged = int(note.read_text())
        assert acknowledged >= last
        last = acknowledged
        root = note.with_suffix("")
        state = seen(LocalStore(root))
        following = STATES[acknowledged : acknowledged + (3 if acknowledged == 5 else 2)]
        expected = [(names, sorted(ids)) for names, ids in following]
        assert state in expected, f"killed at step {root.name}, {acknowledged} acknowledged"
        assert leftovers(root) == [], f"killed at step {root.name}"
        # No name is left that would come back to life with its net.
        assert {path.name for path in (root / "names").glob("[!.]*")} == set(state[0])
    assert last == len(STATES) - 1


def test_killed_at_random_every_net_listed_is_whole(tmp_path):
    run("crash_at_random", tmp_path)
    store = LocalStore(tmp_path)
    ids = every_id(store)
    assert ids
    for net_id in ids:
        store.verify(net_id)
        assert store.description(net_id) == {"n": 1}
        assert len(store.files(net_id).model.read_bytes()) == 200_000
    assert store.resolve("latest") in ids
    assert leftovers(tmp_path) == []


def test_a_store_that_starts_leaves_living_uploads_alone(tmp_path):
    store = LocalStore(tmp_path)
    with store.begin() as upload:
        upload.write(None, b"mod")
        other = LocalStore(tmp_path)
        put(other, b"another")
        upload.write(None, b"el")
        upload.close()
        assert store.commit(upload, {}) is True
    store.verify(upload.net_id)


def test_a_leftover_that_could_not_be_removed_is_tried_again(tmp_path, monkeypatch):
    LocalStore(tmp_path)
    leftover = tmp_path / "staging" / "0123456789abcdef"
    (leftover / "external").mkdir(parents=True)
    leftover.with_suffix(".lock").touch()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", lambda *args, **options: (_ for _ in ()).throw(OSError()))
        LocalStore(tmp_path)
    assert leftovers(tmp_path) != []
    LocalStore(tmp_path)
    assert leftovers(tmp_path) == []


def test_a_scratch_folder_whose_lock_file_was_swept_is_given_up(tmp_path, monkeypatch):
    store = LocalStore(tmp_path)
    tokens = iter(["swept", "kept"])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(tokens))
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.stem != "swept" and exists(path))
    with store.begin() as upload:
        assert upload.folder.name == "kept"
