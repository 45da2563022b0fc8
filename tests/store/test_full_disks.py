"""A disk that fails at any one write: the call says so, the store is as it was before or after it.

And one that is really full, where the kernel lets a test mount one.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portgrad.errors import NotFound, StoreFailed
from support.store_life import DAMAGED, STATES, calls, expected, seen
from support.stored_nets import leftovers

# What may need space, or a disk that can be written.
WRITES = ("mkdir", "rename", "replace", "fsync", "pwrite")


class Disk:
    """Fails at one write, counted from the first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self._number = number
        self.left = -1
        for name in WRITES:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name), lambda *_: True))
        for module in (io, builtins):
            monkeypatch.setattr(module, "open", self._counted(io.open, for_writing))

    def _counted(self, call: Callable, writes: Callable[..., bool]) -> Callable:
        def counted(*args, **options):
            if writes(*args):
                self.left -= 1
                if self.left == 0:
                    raise OSError(self._number, os.strerror(self._number), "/secret/path")
            return call(*args, **options)

        return counted


def for_writing(path: object, mode: str = "r", *_: object) -> bool:
    return bool({"w", "a", "x", "+"} & set(mode))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fails_at_each_write(tmp_path, monkeypatch, number):
    disk = Disk(monkeypatch, number)
    failed = 0
    for write in range(1, 1000, 1 if number == errno.ENOSPC else 5):
        root = tmp_path / str(write)
        life = calls(root)
        disk.left = write
        done = live(
            disk, root, life, "store_full" if number == errno.ENOSPC else "store_unavailable"
        )
        failed += not done
        shutil.rmtree(root)
        if done and disk.left > 0:
            break
    assert failed > 30


def live(disk: Disk, root: Path, life: list, code: str) -> bool:
    """Whether every call went well; a call that fails is judged, and made again."""
    state = 0
    for states, call in life:
        try:
            call()
        except StoreFailed as error:
            disk.left = -1
            told = error
        else:
            state += states
            continue
        assert told.code == code
        assert "/secret" not in str(told)
        judge(root, call, state, states)
        return False
    return True


def judge(root: Path, call: Callable[[], object], state: int, states: int) -> None:
    found = seen(root, damaged=state == DAMAGED)
    assert found in expected(STATES[state : state + states + 1])
    assert leftovers(root) == []
    try:
        call()
    except NotFound:
        assert found == expected(STATES)[state + states]
    assert seen(root) == expected(STATES)[state + states]


UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.mark.parametrize("disk", ["full", "read_only"])
def test_a_disk_that_is_really_so(tmp_path, disk):
    able = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if (
        not shutil.which("unshare")
        or subprocess.run(able, capture_output=True, check=False).returncode
    ):
        pytest.skip("the kernel lets nobody mount a disk here")
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "support.small_disks", disk, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
