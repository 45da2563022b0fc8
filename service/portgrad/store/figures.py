"""How much a store holds, and how much room its disk has left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from portgrad.store.disk import names_in
from portgrad.store.nets import Figures, is_id


class Counted:
    """Counts the nets in a folder. A net never changes, so each one is measured once.

    Args:
        nets: the folder with a folder for each net, named by its id.
    """

    def __init__(self, nets: Path) -> None:
        self._nets = nets
        self._sizes: dict[str, int] = {}

    def figures(self) -> Figures:
        """Count. Raises OSError."""
        known = self._sizes
        self._sizes = {
            net_id: known[net_id] if net_id in known else _size(self._nets / net_id)
            for net_id in names_in(self._nets)
            if is_id(net_id)
        }
        disk = os.statvfs(self._nets)
        free = disk.f_bavail * disk.f_frsize
        return Figures(len(self._sizes), sum(self._sizes.values()), free)


def _size(folder: Path) -> int:
    """The bytes of the files in a folder; of one that is being removed, those that are left."""
    return sum(_files(folder))


def _files(folder: Path) -> Iterator[int]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield entry.stat(follow_symlinks=False).st_size
