"""Processes killed with -9 anywhere: a store is always as it was before a call, or after it."""

from __future__ import annotations

import os
from pathlib import Path

from portgrad.graph.files import NetFiles
from portgrad.store import LocalStore
from support.store_life import DAMAGED, EXTERNAL, OTHER, STATES, expected, resolved, seen
from support.store_replicas import run
from support.stored_nets import every_id, leftovers, opened, put

REMOVING = 7  # the call after which there are states in between


def test_killed_at_each_step_a_store_is_as_before_or_after_the_call(tmp_path):
    run("crash_at_each_step", tmp_path)
    last = -1
    for note in sorted(tmp_path.glob("*.acknowledged")):
        acknowledged = int(note.read_text())
        assert acknowledged >= last
        last = acknowledged
        root = note.with_suffix("")
        state = seen(root, damaged=acknowledged == DAMAGED)
        following = STATES[acknowledged : acknowledged + (4 if acknowledged == REMOVING else 2)]
        assert state in expected(following), (
            f"killed at step {root.name}, {acknowledged} acknowledged"
        )
        assert leftovers(root) == [], f"killed at step {root.name}"
        # No name is left that would come back to life with its net.
        names = root / "owners" / "local" / "names"
        assert {path.name for path in names.glob("[!.]*")} == set(state[0])
        if int(root.name) % 3 == 0:  # it takes its time
            check_that_life_goes_on(root)
    assert last == len(STATES) - 1


def check_that_life_goes_on(root: Path) -> None:
    """Who asks again gets what a death left half done; what it left over is in nobody's way."""
    store, other = opened(root), opened(root, OTHER)
    for model, external in ((b"one", EXTERNAL), (b"two", {})):
        net_id = put(store, model, external)
        store.delete(net_id)  # the one that may be damaged
        put(store, model, external)
        put(other, model, external)
        other.share(net_id, False)
        store.verify(net_id)
        store.delete(net_id)
        assert resolved(store, net_id) is None
        other.verify(net_id)
        assert other.delete(net_id) is True
    assert every_id(store) == every_id(other) == []
    assert [*(root / "nets").glob("[!.]*"), *(root / "shared").iterdir()] == []


def test_killed_at_each_step_an_old_folder_is_taken_over_by_who_opens_it_next(tmp_path):
    run("crash_taking_over", tmp_path)
    roots = sorted(tmp_path.iterdir())
    assert len(roots) > 10
    one, two = NetFiles(b"one").net_id(), NetFiles(b"two").net_id()
    for root in roots:
        store = opened(root)
        assert every_id(store) == sorted([one, two])
        assert store.names(one) == ["first", "second"]
        assert store.resolve("second") == one
        assert store.get(two).description == {"opset": 21}
        store.verify(two)
        assert not (root / "names").exists()
        assert store.delete(one) is True


def test_killed_at_random_every_net_listed_is_whole(tmp_path):
    run("crash_at_random", tmp_path)
    store = opened(tmp_path)
    ids = every_id(store)
    assert ids
    for net_id in ids:
        store.verify(net_id)
        assert store.get(net_id).description == {"n": 1}
        assert len(store.get(net_id).files.model.read_bytes()) == 200_000
    assert store.resolve("latest") in ids
    assert leftovers(tmp_path) == []


def test_a_store_that_starts_leaves_living_uploads_alone(tmp_path):
    store = opened(tmp_path)
    with store.begin() as upload:
        upload.write(None, b"mod")
        other = opened(tmp_path)
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
    store = opened(tmp_path)
    tokens = iter(["swept", "kept"])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(tokens))
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.stem != "swept" and exists(path))
    with store.begin() as upload:
        assert upload.folder.name == "kept"
