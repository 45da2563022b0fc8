"""A store of nets in a folder, which several processes and machines may share.

    nets/<id>/            a net, moved into place whole: see `upload`
    owners/<key>/         names and nets of one owner: see `owners`, `names`
    shared/<id>/          who shares a net: see `owners`
    staging/              see `staging`

Everything is written elsewhere, synced, and appears by one rename; docs/decisions/0002-store.md
says why. The folder must be on a POSIX file system that tells `A` from `a`, and whose locks, where
it is shared, reach everybody who shares it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from portgrad.store.disk import disk_errors, make_folder
from portgrad.store.figures import Counted
from portgrad.store.nets import Figures
from portgrad.store.owners import OwnerFolder, key_of
from portgrad.store.quota import UNLIMITED, Quota
from portgrad.store.shelf import LocalShelf, Shared
from portgrad.store.takeover import take_over

_SHELVES_KEPT = 1024


class LocalStore:
    """The NetStore on a disk.

    Args:
        root: the folder; made where it does not exist.
    """

    @disk_errors("open its folder")
    def __init__(self, root: Path) -> None:
        root = root.resolve()
        self._folders = [root / name for name in ("nets", "owners", "shared", "staging")]
        for folder in self._folders:
            make_folder(folder)
        self._shared = Shared(root)
        self._counted = Counted(self._shared.nets)
        take_over(root)
        self._shared.staging.sweep()
        self._shelf = lru_cache(_SHELVES_KEPT)(self._make_shelf)

    def of(self, owner: str, *, everything: bool = False, quota: Quota = UNLIMITED) -> LocalShelf:
        """See `NetStore`."""
        return self._shelf(owner, everything, quota)

    @disk_errors("be read")
    def ready(self) -> None:
        """See `NetStore`."""
        for folder in self._folders:
            with os.scandir(folder) as entries:
                next(entries, None)

    @disk_errors("be written")
    def writable(self) -> None:
        """See `NetStore`."""
        self._shared.staging.scratch().release()

    @disk_errors("be counted")
    def figures(self) -> Figures:
        """See `NetStore`."""
        return self._counted.figures()

    def _make_shelf(self, owner: str, everything: bool, quota: Quota) -> LocalShelf:
        own = OwnerFolder(self._shared.root, key_of(owner), owner)
        return LocalShelf(self._shared, own, everything, quota)
