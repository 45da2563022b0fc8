"""A store of nets in a folder, which several processes and machines may share.

    nets/<id>/            a net, moved into place whole: see `upload`
    names/<name>          see `names`
    staging/              see `staging`

Everything is written elsewhere, synced, and appears by one rename; docs/decisions/0002-store.md
says why. The folder must be on a POSIX file system that tells `A` from `a`, and whose locks, where
it is shared, reach everybody who shares it.
"""

from __future__ import annotations

import errno
import heapq
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portgrad.errors import NotFound, StoreFailed
from portgrad.graph.files import NetFiles, Source, sha256
from portgrad.graph.files import net_id as id_of
from portgrad.graph.nearest import offer
from portgrad.store.disk import disk_errors, make_folder, names_in, sync
from portgrad.store.figures import Counted
from portgrad.store.names import Names
from portgrad.store.nets import Figures, check_name, is_id
from portgrad.store.staging import Scratch, Staging
from portgrad.store.upload import DESCRIPTION, MANIFEST, Upload, files_in

# Comparing names takes about 20 microseconds each, and anyone may ask for what is not there.
_OFFERED_AMONG = 1000


class LocalStore:
    """The NetStore on a disk.

    Args:
        root: the folder; made where it does not exist.
    """

    @disk_errors("open its folder")
    def __init__(self, root: Path) -> None:
        root = root.resolve()
        self._nets = root / "nets"
        self._staging = Staging(root / "staging")
        names, staging = root / "names", root / "staging"
        self._folders = (self._nets, names, staging)
        for folder in self._folders:
            make_folder(folder)
        self._names = Names(names, self._nets)
        self._counted = Counted(self._nets)
        self._staging.sweep()

    @disk_errors("start an upload")
    def begin(self) -> Upload:
        """See `NetStore`."""
        return Upload(self._staging.scratch())

    @disk_errors("make room for an answer")
    def scratch(self) -> Scratch:
        """See `NetStore`."""
        return self._staging.scratch()

    @disk_errors("keep the net")
    def commit(self, upload: Upload, description: Mapping[str, Any]) -> bool:
        """See `NetStore`."""
        if self.has(upload.net_id):
            return False
        upload.seal(description)
        new = self._move_in(upload)
        sync(self._nets)
        return new

    @disk_errors("look up a net")
    def has(self, net_id: str) -> bool:
        """See `NetStore`."""
        here = self._has(net_id)
        if here:
            # Another replica may have moved it in, and not yet have synced that.
            sync(self._nets)
        return here

    @disk_errors("find the files of a net")
    def files(self, net_id: str) -> NetFiles:
        """See `NetStore`."""
        _, external = self._manifest(net_id)
        return files_in(self._nets / net_id, list(external))

    @disk_errors("read the description of a net")
    def description(self, net_id: str) -> dict[str, Any]:
        """See `NetStore`."""
        return self._read(net_id, DESCRIPTION)

    @disk_errors("read a net")
    def verify(self, net_id: str) -> None:
        """See `NetStore`."""
        model, external = self._manifest(net_id)
        files = files_in(self._nets / net_id, list(external))
        if id_of(model, external) != net_id:
            raise _damaged(net_id, "its manifest")
        self._verify_file(net_id, "the model", files.model, model)
        for location, expected in external.items():
            what = f"the external data `{location}`"
            self._verify_file(net_id, what, files.external[location], expected)

    @disk_errors("list the nets")
    def page(self, after: str | None, limit: int) -> tuple[list[str], str | None]:
        """See `NetStore`."""
        start = after or ""
        beyond = (name for name in names_in(self._nets) if is_id(name) and name > start)
        ids = heapq.nsmallest(limit + 1, beyond)
        more = len(ids) > limit
        return ids[:limit], ids[limit - 1] if more else None

    @disk_errors("remove a net")
    def delete(self, net_id: str) -> None:
        """See `NetStore`."""
        with self._staging.scratch() as scratch, self._names.turn():
            for name in self._names_of(net_id):
                self._names.unbind(name)
            (self._nets / net_id).rename(scratch.folder / "net")
            sync(self._nets)

    @disk_errors("look up a name")
    def resolve(self, ref: str) -> str:
        """See `NetStore`."""
        net_id = ref if is_id(ref) else self._names.get(ref)
        if net_id is None or not self._has(net_id):
            raise self._not_found(ref)
        return net_id

    @disk_errors("list the names of a net")
    def names(self, net_id: str) -> list[str]:
        """See `NetStore`."""
        return self._names_of(net_id)

    @disk_errors("bind a name")
    def bind(self, name: str, net_id: str, replace: bool = False) -> bool:
        """See `NetStore`."""
        check_name(name)
        with self._names.turn():
            if not self._has(net_id):
                raise self._not_found(net_id)
            return self._names.bind(name, net_id, replace)

    @disk_errors("remove a name")
    def unbind(self, name: str) -> None:
        """See `NetStore`."""
        with self._names.turn():
            if not self._names.unbind(name):
                raise self._not_found(name)

    @disk_errors("be read")
    def ready(self) -> None:
        """See `NetStore`."""
        for folder in self._folders:
            with os.scandir(folder) as entries:
                next(entries, None)

    @disk_errors("be written")
    def writable(self) -> None:
        """See `NetStore`."""
        self._staging.scratch().release()

    @disk_errors("be counted")
    def figures(self) -> Figures:
        """See `NetStore`."""
        return self._counted.figures()

    def _has(self, net_id: str) -> bool:
        return is_id(net_id) and (self._nets / net_id).is_dir()

    def _move_in(self, upload: Upload) -> bool:
        try:
            upload.folder.rename(self._nets / upload.net_id)
        except OSError as error:
            # A folder replaces an empty one only, and a net's never is.
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                return False
            raise
        return True

    def _names_of(self, net_id: str) -> list[str]:
        if not self._has(net_id):
            raise self._not_found(net_id)
        return self._names.of(net_id)

    def _manifest(self, net_id: str) -> tuple[str, dict[str, str]]:
        """The model's hash, and the hash of each location in the order of the files."""
        content = self._read(net_id, MANIFEST)
        try:
            return content["model"], dict(content["external"])
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(net_id, "its manifest") from error

    def _read(self, net_id: str, file: str) -> dict[str, Any]:
        if not self._has(net_id):
            raise self._not_found(net_id)
        try:
            content = json.loads((self._nets / net_id / file).read_bytes())
        except FileNotFoundError:
            raise self._missing(net_id, f"its {file}") from None
        except ValueError as error:
            raise _damaged(net_id, f"its {file}") from error
        if not isinstance(content, dict):
            raise _damaged(net_id, f"its {file}")
        return content

    def _verify_file(self, net_id: str, what: str, source: Source, expected: str) -> None:
        try:
            found = sha256(source)
        except FileNotFoundError:
            raise self._missing(net_id, what) from None
        if found != expected:
            raise _damaged(net_id, what)

    def _missing(self, net_id: str, what: str) -> NotFound | StoreFailed:
        """Why a file was not there: the net was removed meanwhile, or is damaged."""
        return _damaged(net_id, what) if self._has(net_id) else self._not_found(net_id)

    def _not_found(self, ref: str) -> NotFound:
        others = [] if is_id(ref) else sorted({*self._names.all()} - {ref})
        near = offer(ref, others[:_OFFERED_AMONG])
        if is_id(ref.lower()) and not is_id(ref):
            near = "Write the id in lower case."
        return NotFound(
            f"There is no net {ref[:80]!r} here.",
            code="net_not_found",
            where=ref[:80],
            expected="the id or a name of a net that was uploaded and not removed",
            remedy=near or "List the nets that are here, or upload this one.",
        )


def _damaged(net_id: str, what: str) -> StoreFailed:
    return StoreFailed(
        f"The stored net {net_id} is damaged: {what} cannot be read as it was written.",
        code="store_damaged",
        where=net_id,
        remedy="Remove the net by its id, then upload it again.",
    )
