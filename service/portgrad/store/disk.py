"""The few things that a careful writer needs beyond pathlib: sync, locks, and errors in words."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from pathlib import Path

from portgrad.errors import StoreFailed

_FULL = {errno.ENOSPC, errno.EDQUOT}


class disk_errors(ContextDecorator):  # noqa: N801 (read as the function that it was)
    """Turn errors of the operating system into StoreFailed, without the paths they carry.

    Args:
        doing: what cannot be done then.
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        """Nothing is held."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError):
            raise _store_failed(self._doing, error) from error


def _store_failed(doing: str, error: OSError) -> StoreFailed:
    full = error.errno in _FULL
    return StoreFailed(
        f"The store could not {doing}.",
        code="store_full" if full else "store_unavailable",
        expected="a folder that can be read and written, with room left",
        found=os.strerror(error.errno) if error.errno else type(error).__name__,
        remedy="Free some space, or remove nets that are no longer needed."
        if full
        else "Check that the service's data folder is mounted and that it may write there.",
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file against threads, processes and other machines on this volume.

    The kernel releases it when the holder dies, however it dies.
    """
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def exists(path: str | Path) -> bool:
    """Whether something is there. A disk that cannot tell raises, unlike `os.path.exists`."""
    try:
        os.stat(path)  # noqa: PTH116 (calls are hot, and paths are text there)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def names_in(folder: str | Path) -> list[str]:
    """The names of a folder's entries, in no order."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def names_if_any(folder: str | Path) -> list[str]:
    """The names of a folder's entries; none where there is no such folder."""
    try:
        return names_in(folder)
    except FileNotFoundError:
        return []


def make_folder(folder: Path) -> None:
    """Make a folder where there is none, with its parents, and see that to the disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        make_inside(folder)


def make_inside(folder: Path) -> None:
    """Make a folder inside one that must be there: no volume that went away is made up for."""
    if not exists(folder):
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def write_synced(path: Path, text: str) -> None:
    """Write a file and see it to the disk. Its entry in the folder is not synced."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def overwrite(path: Path, text: str) -> None:
    """Write a file whose contents are always equally long, unsynced.

    Cut to nothing first, as by `write_text`, it would be written out at once by some file systems.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        os.pwrite(descriptor, text.encode("ascii"), 0)
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """See a file's bytes, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """See everything below a folder to the disk."""
    for parent, _, files in os.walk(folder):
        for name in files:
            sync(Path(parent, name))
        sync(Path(parent))
