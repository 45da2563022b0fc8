"""A store on a disk that is full, or that can only be read: for real, in a mount of its own.

unshare -rm python -m support.small_disks full FOLDER
unshare -rm python -m support.small_disks read_only FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from portgrad.errors import StoreFailed
from portgrad.store import LocalStore, Shelf
from support.store_life import EXTERNAL, ONE, TWO
from support.stored_nets import every_id, leftovers, put

PAGE = 4096


def mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)


def full(folder: Path) -> None:
    """For each number of free pages: an upload is kept or refused, and removals always work."""
    mount(folder, f"size={256 * PAGE}")
    root = folder / "data"
    store = LocalStore(root)
    ann, bob = store.of("ann"), store.of("auth0|bob")
    put(ann, b"one", EXTERNAL)
    ann.bind("one", ONE)
    kept = 0
    for pages in range(24):
        with all_but(folder, pages):
            kept += tried(ann, b"two" * PAGE)
            kept += tried(bob, b"one", EXTERNAL)
            ann.verify(ONE)
            assert ann.resolve("one") == ONE
            for shelf in (ann, bob):
                for net_id in every_id(shelf):
                    shelf.verify(net_id)
                    if net_id != ONE or shelf is bob:
                        shelf.delete(net_id)
            assert leftovers(root) == []
        assert every_id(ann) == [ONE]
    assert 0 < kept < 48, kept
    with all_but(folder, 0):
        ann.delete(ONE)
    assert every_id(ann) == []


def tried(shelf: Shelf, model: bytes, external: Mapping[str, bytes] | None = None) -> bool:
    try:
        put(shelf, model, external)
    except StoreFailed as error:
        if error.code != "store_full":
            raise
        return False
    return True


@contextmanager
def all_but(folder: Path, pages: int) -> Iterator[None]:
    """The disk filled, but for some pages."""
    free, filler = os.statvfs(folder), folder / "filler"
    filler.write_bytes(bytes((free.f_bavail - pages) * free.f_frsize))
    yield
    filler.unlink()


def read_only(folder: Path) -> None:
    """Reading goes on; writing says what is wrong; the store says that it cannot be written."""
    mount(folder, "size=4m")
    store = LocalStore(folder)
    ann = store.of("ann")
    put(ann, b"one", EXTERNAL)
    put(ann, b"two")
    ann.bind("one", ONE)
    ann.share(ONE, True)
    (folder / "staging" / "0123456789abcdef.lock").touch()  # of an upload that died
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    check_reads(store)
    check_reads(LocalStore(folder))  # one that is opened only now


def check_reads(store: LocalStore) -> None:
    ann, bob = store.of("ann"), store.of("bob")
    assert sorted(every_id(ann)) == sorted([ONE, TWO])
    assert ann.get("one").net_id == bob.get(ONE).net_id == ONE
    ann.verify(ONE)
    store.ready()
    writes = [
        store.writable,
        ann.begin,
        ann.scratch,
        lambda: ann.bind("two", TWO),
        lambda: ann.unbind("one"),
        lambda: ann.share(TWO, True),
        lambda: ann.delete(ONE),
    ]
    for write in writes:
        with pytest.raises(StoreFailed, match="Read-only file system") as caught:
            write()
        assert caught.value.code == "store_unavailable"
    assert ann.names(ONE) == ["one"]


if __name__ == "__main__":
    {task.__name__: task for task in (full, read_only)}[sys.argv[1]](Path(sys.argv[2]))
