"""The Shelf on a disk: a folder of nets as one of its owners sees it."""

from __future__ import annotations

import errno
import heapq
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from portgrad.errors import LimitExceeded, NotFound, StoreFailed
from portgrad.store.contents import Contents
from portgrad.store.disk import disk_errors, sync
from portgrad.store.glances import Glances
from portgrad.store.names import Names
from portgrad.store.nets import StoredNet, check_name, is_id
from portgrad.store.owners import OwnerFolder, Ownership
from portgrad.store.quota import Arriving, Quota
from portgrad.store.refusals import not_found, not_owner
from portgrad.store.staging import Scratch, Staging, remove
from portgrad.store.upload import Upload


class Shared:
    """What all shelves of one store work with."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.nets = root / "nets"
        self.contents = Contents(self.nets)
        self.ownership = Ownership(root)
        self.staging = Staging(root / "staging")
        self.arriving = Arriving()
        self.glances = Glances(root / name for name in ("nets", "owners", "shared"))


class LocalShelf:
    """See `Shelf`, which says what each method does, and `LocalStore.of`, which makes these."""

    def __init__(self, shared: Shared, own: OwnerFolder, everything: bool, quota: Quota) -> None:
        self._shared = shared
        self._contents = shared.contents
        self._ownership = shared.ownership
        self._own = own
        self._key = self._own.key
        self._names = Names(self._own, shared.ownership)
        self._everything = everything
        self._quota = quota
        self._glances = shared.glances

    @disk_errors("start an upload")
    def begin(self) -> Upload:
        """See `Shelf`."""
        allowance = self._shared.arriving.allowance(self._key, self._quota)
        return Upload(self._shared.staging.scratch(), allowance)

    @disk_errors("make room for an answer")
    def scratch(self) -> Scratch:
        """See `Shelf`."""
        return self._shared.staging.scratch()

    @disk_errors("add up your nets")
    def afford(self, upload: Upload) -> None:
        """See `Shelf`."""
        if not self._owns(upload.net_id):
            self._quota.check(self._own.held(), upload.size)

    @disk_errors("keep the net")
    def commit(self, upload: Upload, description: Mapping[str, Any]) -> bool:
        """See `Shelf`."""
        if self.has(upload.net_id):
            return False
        upload.seal(description, self._key)
        with self._own.turn():
            if self._owns(upload.net_id):
                with self._ownership.turn():
                    self._mend(upload)
                return False
            self._make_room(upload)
            self._own.enter(upload.net_id, upload.size)
            self._put(upload)
        return True

    @disk_errors("look up a net")
    def has(self, net_id: str) -> bool:
        """See `Shelf`."""
        here = self._owns(net_id)
        if here:
            # Another replica may have moved it in, and not yet have synced that.
            sync(self._shared.nets)
            sync(self._ownership.folder(net_id, self._key).parent)
        return here and self._whole(net_id)

    @disk_errors("read a net")
    def get(self, ref: str) -> StoredNet:
        """See `Shelf`."""
        return self._find(ref)[0]

    @disk_errors("read a net")
    def find(self, ref: str) -> tuple[StoredNet, bool]:
        """See `Shelf`."""
        found = self._find(ref)
        self._glances.note((self._key, self._everything, ref))
        return found

    def quick(self, ref: str) -> bool:
        """See `Shelf`."""
        return self._glances.quick((self._key, self._everything, ref))

    @disk_errors("read a net")
    def verify(self, net_id: str) -> None:
        """See `Shelf`."""
        if not self._sees(net_id) or not self._contents.verify(net_id):
            raise self._not_found(net_id)

    @disk_errors("list the nets")
    def page(self, after: str | None, limit: int) -> tuple[list[str], str | None]:
        """See `Shelf`."""
        ids: list[str] = []
        beyond = [net_id for net_id in self._own.list() if net_id > (after or "")]
        for net_id in _in_order(beyond):
            if self._owns(net_id):
                ids.append(net_id)
            if len(ids) > limit:
                return ids[:limit], ids[limit - 1]
        return ids, None

    @disk_errors("remove a net")
    def delete(self, net_id: str, *, everyone: bool = False) -> bool:
        """See `Shelf`."""
        if not everyone:
            return self._delete(net_id)
        if not self._everything:
            raise self._refused(net_id)
        if not self._sees(net_id):
            raise self._not_found(net_id)
        for key in self._ownership.of(net_id):
            with suppress(NotFound):
                own = OwnerFolder(self._shared.root, key)
                LocalShelf(self._shared, own, False, self._quota)._delete(net_id)
        return True

    @disk_errors("share a net")
    def share(self, net_id: str, shared: bool) -> None:
        """See `Shelf`."""
        with self._own.turn(), self._ownership.turn():
            self._check_owns(net_id)
            change = self._ownership.share if shared else self._ownership.unshare
            change(net_id, self._key)

    @disk_errors("declare a net")
    def declare(self, net_id: str, batchable: bool) -> None:
        """See `Shelf`."""
        with self._own.turn():
            self._check_owns(net_id)
            self._ownership.declare(net_id, self._key, batchable)

    @disk_errors("look up a net")
    def is_shared(self, net_id: str) -> bool:
        """See `Shelf`."""
        if self._owns(net_id):
            return self._ownership.shares(net_id, self._key)
        if not self._sees(net_id):
            raise self._not_found(net_id)
        return self._ownership.shared(net_id)

    @disk_errors("look up a name")
    def resolve(self, ref: str) -> str:
        """See `Shelf`."""
        return self._resolve(ref)

    @disk_errors("list the names of a net")
    def names(self, net_id: str) -> list[str]:
        """See `Shelf`."""
        if not self._sees(net_id):
            raise self._not_found(net_id)
        return self._names.of(net_id)

    @disk_errors("bind a name")
    def bind(self, name: str, net_id: str, replace: bool = False) -> bool:
        """See `Shelf`."""
        check_name(name)
        with self._own.turn():
            self._check_owns(net_id)
            return self._names.bind(name, net_id, replace)

    @disk_errors("remove a name")
    def unbind(self, name: str) -> None:
        """See `Shelf`."""
        with self._own.turn():
            if not self._names.unbind(name):
                raise self._not_found(name)

    def _owns(self, net_id: str) -> bool:
        return is_id(net_id) and self._ownership.owns(net_id, self._key)

    def _sees(self, net_id: str) -> bool:
        return self._owns(net_id) or self._sees_of_others(net_id)

    def _sees_of_others(self, net_id: str) -> bool:
        if not is_id(net_id):
            return False
        return self._ownership.shared(net_id) or (self._everything and self._contents.has(net_id))

    def _batchable(self, net_id: str, own: bool) -> bool:
        """Whether the owner declares a net batchable; of somebody else's, one who shares it."""
        if self._ownership.batchable(net_id, self._key):
            return True
        return not own and self._ownership.shared_batchable(net_id)

    def _find(self, ref: str) -> tuple[StoredNet, bool]:
        """A net, and whether its files were read as they are. Each question costs a system call."""
        net_id = self._named(ref)
        own = net_id is not None and self._owns(net_id)
        if net_id is None or not (own or self._sees_of_others(net_id)):
            raise self._not_found(ref)
        found = self._contents.find(net_id)
        if found is None:
            raise self._not_found(ref)
        net, verified = found
        return net.declared if self._batchable(net_id, own) else net, verified

    def _named(self, ref: str) -> str | None:
        return ref if is_id(ref) else self._names.get(ref)

    def _resolve(self, ref: str) -> str:
        net_id = self._named(ref)
        if net_id is None or not self._sees(net_id):
            raise self._not_found(ref)
        return net_id

    @disk_errors("look for a net")
    def _not_found(self, ref: str) -> NotFound:
        self._shared.nets.stat()  # where a whole volume went away, nets were not removed
        return not_found(ref, self._names.all)

    def _refused(self, net_id: str) -> Exception:
        return not_owner(net_id) if self._sees(net_id) else self._not_found(net_id)

    def _check_owns(self, net_id: str) -> None:
        if not self._owns(net_id):
            raise self._refused(net_id)

    def _make_room(self, upload: Upload) -> None:
        """Check the quota, without what a death left on the list if that is in the way."""
        try:
            self._quota.check(self._own.held(), upload.size)
        except LimitExceeded:
            for net_id in self._own.list():
                if not self._owns(net_id):
                    self._own.strike(net_id)
            self._quota.check(self._own.held(), upload.size)

    def _put(self, upload: Upload) -> None:
        """Move a sealed upload into place, or join the owners of the same net."""
        folder = self._shared.nets / upload.net_id
        if not _moved(upload.folder, folder):
            with self._ownership.turn():
                if not _moved(upload.folder, folder):
                    self._mend(upload)
                    self._ownership.add(upload.net_id, self._key)
        sync(self._shared.nets)

    def _whole(self, net_id: str) -> bool:
        try:
            return self._contents.verify(net_id)
        except StoreFailed:
            return False

    def _mend(self, upload: Upload) -> None:
        """Repair a net that is here with the same net, uploaded again. Only in one's turn."""
        if not self._whole(upload.net_id):
            upload.repair(self._shared.nets / upload.net_id)

    def _delete(self, net_id: str) -> bool:
        with self._own.turn():
            self._check_owns(net_id)
            for name in self._names.of(net_id):
                self._names.unbind(name)
            last, doomed = self._leave(net_id)
            self._own.strike(net_id)
        remove(doomed)
        return last

    def _leave(self, net_id: str) -> tuple[bool, Path]:
        """Give a net up: with its folder where nobody else has it. What remains to be removed."""
        doomed = self._shared.staging.doomed()
        with self._ownership.turn():
            self._ownership.unshare(net_id, self._key)
            last = self._ownership.of(net_id) == [self._key]
            mine = self._ownership.folder(net_id, self._key)
            gone = self._shared.nets / net_id if last else mine
            gone.rename(doomed)
            sync(gone.parent)
        return last, doomed


def _moved(folder: Path, place: Path) -> bool:
    """Move a folder to a place, unless there is one already."""
    try:
        folder.rename(place)
    except OSError as error:
        # A folder replaces an empty one only, and a net's never is.
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return False
        raise
    return True


def _in_order(ids: list[str]) -> Iterator[str]:
    """Smallest first, at little cost for who takes only a few."""
    heapq.heapify(ids)
    while ids:
        yield heapq.heappop(ids)
