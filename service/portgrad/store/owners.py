"""Whose nets these are: the folder of one owner, and the folders that say who owns a net.

    owners/<key>/names/            see `names`
    owners/<key>/nets/<id>.<size>  empty: a hint that makes an owner's nets quick to list
    owners/<key>/.changed          a token of the last change to that list
    owners/<key>/owner             who that is, where the key does not say it
    nets/<id>/owners/<key>/        the net is that owner's: this alone decides
    nets/<id>/owners/<key>/.batchable  empty: the owner declares that its calls may share runs
    shared/<id>/<key>              empty: that owner shares the net

Ownership comes with the net's folder in one rename, and goes with it in one. Hints are written
before it and removed after it; who reads them asks for the folder itself. Sharing lies outside of
the net's folder, so that asking for a net of somebody else's makes the same system calls, with the
same results, as asking for one that does not exist.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portgrad.store.disk import (
    exists,
    locked,
    make_inside,
    names_if_any,
    names_in,
    overwrite,
    sync,
    write_synced,
)
from portgrad.store.quota import Held

# The owner of everything where nobody has to prove who they are.
LOCAL = "local"
# No key, id or name begins with a dot.
_LOCK, _BATCHABLE = ".lock", ".batchable"
# Too short to be read as a hash: 63 characters against 64.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def key_of(owner: str) -> str:
    """What stands for an owner in paths: itself where it is plain, else its hash."""
    if _PLAIN.fullmatch(owner):
        return owner
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()


class Ownership:
    """Who owns and who shares the nets in a folder."""

    def __init__(self, root: Path) -> None:
        self._nets = root / "nets"
        self._shared = root / "shared"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """No owner joins or leaves a net, shares it or keeps it to itself, meanwhile.

        Whoever also needs the turn of an owner takes that one first.
        """
        with locked(self._nets / _LOCK):
            yield

    def folder(self, net_id: str, key: str) -> Path:
        """The folder that says that a net is an owner's. Names leave their hints in it."""
        return self._nets / net_id / "owners" / key

    def owns(self, net_id: str, key: str) -> bool:
        """Whether a net is an owner's."""
        return exists(f"{self._nets}/{net_id}/owners/{key}")

    def of(self, net_id: str) -> list[str]:
        """The keys of a net's owners."""
        keys = names_if_any(self._nets / net_id / "owners")
        return [key for key in keys if not key.startswith(".")]

    def add(self, net_id: str, key: str) -> None:
        """Make a net that is here an owner's. Only in one's turn."""
        folder = self.folder(net_id, key)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)

    def batchable(self, net_id: str, key: str) -> bool:
        """Whether an owner declares a net batchable."""
        return exists(f"{self._nets}/{net_id}/owners/{key}/{_BATCHABLE}")

    def declare(self, net_id: str, key: str, batchable: bool) -> None:
        """Note, or no longer, that an owner declares a net batchable. Only in one's turn."""
        mark = self.folder(net_id, key) / _BATCHABLE
        if batchable:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)
        sync(mark.parent)

    def shares(self, net_id: str, key: str) -> bool:
        """Whether an owner shares a net."""
        return exists(self._shared / net_id / key)

    def shared(self, net_id: str) -> bool:
        """Whether anyone who owns a net shares it."""
        sharing = names_if_any(f"{self._shared}/{net_id}")
        return any(self.owns(net_id, key) for key in sharing)

    def shared_batchable(self, net_id: str) -> bool:
        """Whether anyone who shares a net declares it batchable."""
        sharing = names_if_any(f"{self._shared}/{net_id}")
        return any(self.batchable(net_id, key) for key in sharing)

    def share(self, net_id: str, key: str) -> None:
        """Let everybody see a net of an owner. Only in one's turn."""
        folder = self._shared / net_id
        make_inside(folder)
        (folder / key).touch()
        sync(folder)

    def unshare(self, net_id: str, key: str) -> None:
        """Keep a net of an owner from those who do not own it. Only in one's turn."""
        folder = self._shared / net_id
        with suppress(FileNotFoundError):
            (folder / key).unlink()
            sync(folder)
        with suppress(OSError):  # others share it, or nobody did
            folder.rmdir()


class OwnerFolder:
    """The folder of one owner, made when something is first written to it.

    Args:
        root: the store's folder.
        key: what stands for the owner: see `key_of`.
        owner: who that is; None where the key was found in the store.
    """

    def __init__(self, root: Path, key: str, owner: str | None = None) -> None:
        self.key = key
        self._owner = owner
        self._folder = root / "owners" / self.key
        self.names = self._folder / "names"
        self._nets = self._folder / "nets"
        self._changed = self._folder / ".changed"
        self._counted: tuple[str, Held] | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else changes the names or nets of this owner meanwhile."""
        for folder in (self._folder, self.names, self._nets):
            make_inside(folder)
        with locked(self._folder / _LOCK):
            self._tell()
            yield

    def _tell(self) -> None:
        """Write down for people whose folder this is, if its name does not say it."""
        told = self._folder / "owner"
        if self._owner in {None, self.key} or (exists(told) and told.stat().st_size):
            return
        write_synced(told, json.dumps(self._owner))

    def list(self) -> dict[str, int]:
        """Bytes by id of what the owner has, and perhaps of what it no longer or not yet has."""
        found = {}
        try:
            entries = names_in(self._nets)
        except FileNotFoundError:
            # Whoever never wrote has no folder; a volume that went away is something else.
            names_in(self._folder.parent)
            return {}
        for entry in entries:
            net_id, dot, size = entry.partition(".")
            if dot and size.isdecimal():
                found[net_id] = int(size)
        return found

    def held(self) -> Held:
        """How much is on the list. Added up anew only after a change by somebody else."""
        counted = self._counted
        if counted is not None and counted[0] == self._token():
            return counted[1]
        sizes = self.list().values()
        return Held(len(sizes), sum(sizes))

    def enter(self, net_id: str, size: int) -> None:
        """List a net that is about to be the owner's. Only in one's turn."""
        held = self.held()
        token = secrets.token_hex(8)
        overwrite(self._changed, token)
        (self._nets / f"{net_id}.{size}").touch()
        sync(self._nets)
        self._counted = token, held.with_net(size)

    def strike(self, net_id: str) -> None:
        """Take a net off the list. Only in one's turn; also on a full disk.

        Lost to a loss of power, the entry comes back as a hint too many.
        """
        self._changed.unlink(missing_ok=True)
        for entry in names_in(self._nets):
            if entry.startswith(f"{net_id}."):
                (self._nets / entry).unlink()

    def _token(self) -> str:
        try:
            return self._changed.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
