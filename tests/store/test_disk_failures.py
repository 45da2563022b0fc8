"""A disk that is full, read-only or gone: an error that says so, and nothing half-done."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from portgrad.errors import StoreFailed
from portgrad.store import LocalStore, Shelf
from support.stored_nets import every_id, fill, leftovers, opened, put

CODES = {
    errno.ENOSPC: "store_full",
    errno.EDQUOT: "store_full",
    errno.EROFS: "store_unavailable",
    errno.EACCES: "store_unavailable",
    errno.EIO: "store_unavailable",
}


@pytest.fixture
def store(tmp_path: Path) -> Shelf:
    return opened(tmp_path)


def failing(number: int):
    def fail(*args, **options):
        raise OSError(number, os.strerror(number), "/secret/path")

    return fail


def check_told(error: StoreFailed, code: str, root: Path) -> None:
    assert error.code == code
    assert error.remedy
    assert str(root) not in str(error)
    assert "/secret" not in str(error)


@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("number", CODES)
def test_a_commit_that_fails_leaves_nothing(store, tmp_path, monkeypatch, number, call):
    with store.begin() as upload:
        net_id = fill(upload, b"model", {"w": b"1"})
        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing(number))
            with pytest.raises(StoreFailed) as caught:
                store.commit(upload, {})
    check_told(caught.value, CODES[number], tmp_path)
    assert not store.has(net_id)
    assert leftovers(tmp_path) == []
    assert put(store, b"model", {"w": b"1"}) == net_id


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", CODES)
def test_a_bind_that_fails_leaves_the_name_as_it_was(store, tmp_path, monkeypatch, number, call):
    one, two = put(store, b"one"), put(store, b"two")
    store.bind("net", one)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        with pytest.raises(StoreFailed) as caught:
            store.bind("net", two, replace=True)
    check_told(caught.value, CODES[number], tmp_path)
    assert store.resolve("net") == one
    assert (store.names(one), store.names(two)) == (["net"], [])
    assert store.bind("net", two, replace=True) is True


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("size", [10, 1_000_000])
def test_an_upload_to_a_full_disk(store, tmp_path, monkeypatch, size):
    with store.begin() as upload:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", lambda path, mode: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
            upload.write(None, b"")
        # What fits the buffer fails at the end.
        with pytest.raises(StoreFailed) as caught:
            fill(upload, bytes(size))
        check_told(caught.value, "store_full", tmp_path)
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_an_upload_left_on_a_full_disk(store, tmp_path, monkeypatch):
    with store.begin() as upload, monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda path, mode: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
        upload.write(None, b"buffered")
    assert leftovers(tmp_path) == []


def test_a_root_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for root in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(StoreFailed) as caught:
            LocalStore(root)
        check_told(caught.value, "store_unavailable", tmp_path)


def test_a_store_that_works_is_ready_and_stays_clean(tmp_path):
    store = LocalStore(tmp_path)
    store.ready()
    store.writable()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("folder", ["nets", "owners", "staging", ""])
def test_a_store_whose_folder_went_away_is_not_ready(tmp_path, folder):
    store = LocalStore(tmp_path)
    shutil.rmtree(tmp_path / folder)
    with pytest.raises(StoreFailed) as caught:
        store.ready()
    check_told(caught.value, "store_unavailable", tmp_path)


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_a_store_that_cannot_be_written_can_still_be_read(tmp_path, monkeypatch, number):
    store = LocalStore(tmp_path)
    monkeypatch.setattr(os, "mkdir", failing(number))
    store.ready()
    with pytest.raises(StoreFailed):
        store.writable()


def test_the_store_lists_what_it_has_after_any_failure(store, monkeypatch):
    kept = put(store, b"kept")
    with monkeypatch.context() as patch, store.begin() as upload:
        fill(upload, b"lost")
        patch.setattr(os, "rename", failing(errno.EIO))
        with pytest.raises(StoreFailed):
            store.commit(upload, {})
    assert every_id(store) == [kept]


@pytest.mark.parametrize(
    "call",
    {
        "page": lambda store, net_id: store.page(None, 1),
        "begin": lambda store, net_id: store.begin(),
        "bind": lambda store, net_id: store.bind("net", net_id),
        "unbind": lambda store, net_id: store.unbind("net"),
        "delete": lambda store, net_id: store.delete(net_id),
        "get": lambda store, net_id: store.get(net_id),
        "get by name": lambda store, net_id: store.get("net"),
    }.values(),
    ids=["page", "begin", "bind", "unbind", "delete", "get", "get by name"],
)
def test_every_call_tells_of_folders_that_went_away(store, tmp_path, monkeypatch, call):
    net_id = put(store, b"model")
    monkeypatch.setattr(store, "_owns", lambda _: True)
    for folder in ("nets", "owners", "staging"):
        shutil.rmtree(tmp_path / folder)
    with pytest.raises(StoreFailed) as caught:
        call(store, net_id)
    check_told(caught.value, "store_unavailable", tmp_path)
