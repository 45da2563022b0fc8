"""API keys on a disk: who has one, what it allows, and a hash by which it is known again.

    keys/<id>.json        one key; replaced whole by a rename, so that every replica sees it at once

A key is `pg_<id>_<secret>`, 16 and 64 hex digits. Only the SHA-256 of the secret is kept. A slow,
salted hash protects what can be guessed. 256 random bits cannot, and a fast one costs nothing.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from time import time
from typing import Any

from portgrad.errors import NotFound, StoreFailed
from portgrad.store.disk import disk_errors, make_folder, names_in, sync, write_synced

KEY = re.compile(r"pg_([0-9a-f]{16})_([0-9a-f]{64})")
_ID = re.compile(r"[0-9a-f]{16}")
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key.

    Times are seconds since 1970. None is never, or of a quota that the service's setting holds.
    """

    id: str
    owner: str
    scopes: tuple[str, ...]
    sha256: str = field(repr=False)
    created: float
    expires: float | None = None
    revoked: float | None = None
    requests_per_minute: int | None = None
    max_concurrent: int | None = None
    max_nets: int | None = None
    max_bytes: int | None = None

    def fits(self, secret: str) -> bool:
        """Whether this is the secret, told in a time that says nothing of it."""
        return compare_digest(_digest(secret), self.sha256)

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires is not None and time() >= self.expires


# What tells a file from the one that replaced it: a rename brings another inode.
_Seen = tuple[int, int, int]


class Keys:
    """The keys in a data folder. Any thread may call; raises StoreFailed where the disk fails."""

    def __init__(self, root: Path) -> None:
        self._folder = root.resolve() / "keys"
        self._read: dict[str, tuple[_Seen, Key, Path]] = {}

    @disk_errors("keep a key")
    def create(
        self,
        owner: str,
        scopes: Sequence[str],
        *,
        expires: float | None = None,
        **quota: int | None,
    ) -> tuple[Key, str]:
        """A new key, and the text of it, which is kept nowhere."""
        key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
        key = Key(key_id, owner, tuple(scopes), _digest(secret), time(), expires, **quota)
        make_folder(self._folder)
        self._write(key)
        return key, f"pg_{key_id}_{secret}"

    def get(self, key_id: str) -> Key | None:
        """The key of that id as it is now: a look at its file's entry tells whether it changed."""
        known = self._read.get(key_id)
        # Every request asks: this is all that it costs while nothing changes.
        with suppress(OSError):
            if known is not None and known[0] == _seen(known[2].stat()):
                return known[1]
        return self._get(key_id) if _ID.fullmatch(key_id) else None

    @disk_errors("read a key")
    def _get(self, key_id: str) -> Key | None:
        path = self._path(key_id)
        try:
            seen = _seen(path.stat())
            key = _key(key_id, path.read_bytes())
        except FileNotFoundError:
            return None
        if len(self._read) >= _KEPT:
            self._read.clear()
        self._read[key_id] = seen, key, path
        return key

    @disk_errors("list the keys")
    def all(self) -> list[Key]:
        """Every key, revoked and expired ones too, the oldest first."""
        try:
            ids = [name.removesuffix(".json") for name in names_in(self._folder)]
        except FileNotFoundError:  # nobody ever had a key
            return []
        found = [key for key_id in ids if (key := self.get(key_id)) is not None]
        return sorted(found, key=lambda key: (key.created, key.id))

    @disk_errors("revoke a key")
    def revoke(self, key_id: str) -> Key:
        """Let a key open nothing any more, from the next request on. Twice is no error."""
        key = self.get(key_id)
        if key is None:
            raise NotFound(
                f"There is no key {key_id[:80]!r}.",
                code="key_not_found",
                where=key_id[:80],
                expected="the id of a key: the 16 digits after `pg_`",
                remedy="`portgrad keys list` shows every key.",
            )
        if key.revoked is None:
            key = replace(key, revoked=time())
            self._write(key)
        return key

    def _path(self, key_id: str) -> Path:
        return self._folder / f"{key_id}.json"

    def _write(self, key: Key) -> None:
        content = asdict(key)
        del content["id"]
        new = self._folder / f".{key.id}.{secrets.token_hex(4)}"
        write_synced(new, json.dumps(content))
        new.replace(self._path(key.id))
        sync(self._folder)


def _seen(facts: os.stat_result) -> _Seen:
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _key(key_id: str, content: bytes) -> Key:
    try:
        fields: dict[str, Any] = json.loads(content)
        return Key(id=key_id, **fields | {"scopes": tuple(fields["scopes"])})
    except (ValueError, TypeError, KeyError) as error:
        raise StoreFailed(
            f"The key {key_id} cannot be read as it was written.",
            code="store_damaged",
            where=key_id,
            remedy="Remove its file from the folder `keys`, and create another key.",
        ) from error
