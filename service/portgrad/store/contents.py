"""The nets in a folder, whoever owns them: files, descriptions, and whether they are whole.

What was read or hashed once is not read or hashed again as long as its file keeps its inode, size
and time of change. The marks are of this process: bytes that a disk lost while it was away are
found when it is back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from portgrad.errors import PortgradError, StoreFailed
from portgrad.graph.files import Source, sha256
from portgrad.graph.files import net_id as id_of
from portgrad.store.disk import exists
from portgrad.store.nets import StoredNet
from portgrad.store.upload import DESCRIPTION, MANIFEST, files_in

_READ_KEPT = 256
_MARKS_KEPT = 100_000
# Inode, size and time of change.
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class _Read:
    """A net as its manifest has it: the hash of the model and of each external file.

    `manifest` is the stamp of the manifest that was read, `paths` are those of the net's files.
    """

    net: StoredNet
    model: str
    external: dict[str, str]
    manifest: Stamp
    paths: tuple[str, ...]


class Contents:
    """The nets in a folder. Who may see them is asked before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read = lru_cache(_READ_KEPT)(self._read_once)
        self._marks = _Marks()

    def has(self, net_id: str) -> bool:
        """Whether the net is here."""
        return exists(f"{self._folder}/{net_id}")

    def find(self, net_id: str) -> tuple[StoredNet, bool] | None:
        """A net, and whether `verify` has found its files right as they are; None if there is none.

        Raises:
            StoreFailed: `store_damaged`.
        """
        read = self._get(net_id)
        if read is None:
            return None
        try:
            return read.net, self._marks.get(net_id, self._stamps(read)) == ""
        except FileNotFoundError:
            return read.net, False

    def verify(self, net_id: str) -> bool:
        """Read every byte of a net that was not read as it is now. Whether the net is here.

        Raises:
            StoreFailed: `store_damaged`.
        """
        read = self._get(net_id)
        if read is None:
            return False
        try:
            stamps = self._stamps(read)
        except FileNotFoundError:
            return self._gone(net_id, "one of its files")
        found = self._marks.get(net_id, stamps)
        if found is None:
            found = self._damage(read)
            self._marks.set(net_id, stamps, found)
        return self._gone(net_id, found) if found else True

    def _get(self, net_id: str) -> _Read | None:
        folder = f"{self._folder}/{net_id}"
        try:
            manifest, description = (
                _stamp(f"{folder}/{MANIFEST}"),
                _stamp(f"{folder}/{DESCRIPTION}"),
            )
            return self._read(net_id, manifest, description)
        except FileNotFoundError as error:
            self._gone(net_id, f"its {Path(error.filename).name}")
            return None

    def _read_once(self, net_id: str, stamp: Stamp, _description: Stamp) -> _Read:
        folder = self._folder / net_id
        about, text = (folder / MANIFEST).read_bytes(), (folder / DESCRIPTION).read_bytes()
        try:
            manifest = json.loads(about)
            model, external = manifest["model"], dict(manifest["external"])
            right = id_of(model, external) == net_id
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(net_id, f"its {MANIFEST}") from error
        if not right:
            raise _damaged(net_id, f"its {MANIFEST}")
        description = _described(net_id, text, manifest.get("description"))
        files = files_in(folder, list(external))
        paths = tuple(str(path) for path in (files.model, *files.external.values()))
        return _Read(StoredNet(net_id, files, description), model, external, stamp, paths)

    def _stamps(self, read: _Read) -> tuple[Stamp, ...]:
        return (read.manifest, *map(_stamp, read.paths))

    def _damage(self, read: _Read) -> str:
        """What of a net is not as it was written; nothing where all is."""
        files = read.net.files
        expected = {f"the external data `{name}`": value for name, value in read.external.items()}
        sources = {
            "the model": files.model,
            **dict(zip(expected, files.external.values(), strict=True)),
        }
        for what, hashed in ({"the model": read.model} | expected).items():
            if _hash(sources[what]) != hashed:
                return what
        return ""

    def _gone(self, net_id: str, what: str) -> bool:
        """False where the net was removed meanwhile; else it is damaged."""
        if self.has(net_id):
            raise _damaged(net_id, what)
        return False


class _Marks:
    """What verification found, by net, for files of certain stamps."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._lock = Lock()

    def get(self, net_id: str, stamps: tuple[Stamp, ...]) -> str | None:
        """What was damaged, nothing if all was right; None if these files were not read yet."""
        found = self._found.get(net_id)
        return found[1] if found is not None and found[0] == hash(stamps) else None

    def set(self, net_id: str, stamps: tuple[Stamp, ...], damage: str) -> None:
        """Keep what was found."""
        with self._lock:
            self._found[net_id] = (hash(stamps), damage)
            self._found.move_to_end(net_id)
            while len(self._found) > _MARKS_KEPT:
                self._found.popitem(last=False)


def _stamp(path: str) -> Stamp:
    facts = os.stat(path)  # noqa: PTH116 (calls are hot)
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _hash(source: Source) -> str | None:
    try:
        return sha256(source)
    except FileNotFoundError:
        return None


def _described(net_id: str, text: bytes, expected: str | None) -> dict[str, Any]:
    """The description, if it is the one that was written; early stores kept no hash of it."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _damaged(net_id, f"its {DESCRIPTION}") from error
    changed = expected is not None and hashlib.sha256(text).hexdigest() != expected
    if changed or not isinstance(content, dict):
        raise _damaged(net_id, f"its {DESCRIPTION}")
    return content


def _damaged(net_id: str, what: str) -> PortgradError:
    return StoreFailed(
        f"The stored net {net_id} is damaged: {what} cannot be read as it was written.",
        code="store_damaged",
        where=net_id,
        remedy="Upload the net again.",
    )
