"""Private folders for work in progress, and the removal of what dead processes left in them.

    staging/3f9c.lock      held as long as its owner lives
    staging/3f9c/          its folder
    staging/3f9c.doomed    what anyone may remove

A lock rather than a process id or an age tells whether the owner lives: ids mean nothing between
containers that share a volume, and an upload may take as long as it takes.
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Self


class Scratch:
    """A folder of one's own, gone when released."""

    def __init__(self, folder: Path, lock: BinaryIO) -> None:
        self.folder = folder
        self._lock = lock

    def release(self) -> None:
        """Remove what is left in the folder. May be called again."""
        if not self._lock.closed:
            _remove(self.folder)
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Staging:
    """The folder that holds all scratch folders; on the same file system as the nets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def scratch(self) -> Scratch:
        """A new, empty scratch folder."""
        folder = self._folder / secrets.token_hex(8)
        with ExitStack() as on_failure:
            lock = on_failure.enter_context(_lock_file(folder).open("xb"))
            on_failure.callback(_lock_file(folder).unlink, missing_ok=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _lock_file(folder).exists():
                folder.mkdir()
                on_failure.pop_all()
                return Scratch(folder, lock)
        # A sweep came between making the lock file and locking it.
        return self.scratch()

    def doomed(self) -> Path:
        """A path to move to what is to be removed. Unlike a scratch folder it needs no space."""
        return self._folder / f"{secrets.token_hex(8)}.doomed"

    def sweep(self) -> None:
        """Remove the scratch folders of owners that died, and what was left half removed."""
        for path in self._folder.glob("*.lock"):
            # Also on a disk that cannot be written: then it is left for later.
            with suppress(OSError), path.open("r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path.with_suffix(""))
        for path in self._folder.glob("*.doomed"):
            remove(path)


def _lock_file(folder: Path) -> Path:
    return folder.with_suffix(".lock")


def remove(doomed: Path) -> None:
    """Remove a doomed folder; what cannot be removed now is removed by a later sweep."""
    shutil.rmtree(doomed, ignore_errors=True)


def _remove(folder: Path) -> None:
    # Renamed first, so that on a volume whose locks do not reach every machine an upload that is
    # taken for dead fails to commit rather than commits what is left of it.
    doomed = folder.with_suffix(".doomed")
    with suppress(OSError):
        folder.rename(doomed)
    remove(doomed)
    if not doomed.exists() and not folder.exists():
        with suppress(OSError):
            _lock_file(folder).unlink()
