"""Names of nets on a disk, each owner's for themselves.

    owners/<key>/names/acasxu         the id of the net it points to: this alone decides
    nets/<id>/owners/<key>/acasxu     empty: a hint that makes a net's names quick to list

A hint is written before the name and removed after it, so a process that dies in between leaves
at most a hint too many, and readers ask the name itself. Who changes one has the owner's turn;
readers need none, as a name is replaced in one step.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from portgrad.errors import Conflict, StoreFailed
from portgrad.store.disk import names_if_any, sync, write_synced
from portgrad.store.nets import is_id, is_name
from portgrad.store.owners import OwnerFolder, Ownership

_NEXT = ".next"  # no name begins with a dot


class Names:
    """The names of the nets of one owner."""

    def __init__(self, owner: OwnerFolder, ownership: Ownership) -> None:
        self._folder = owner.names
        self._key = owner.key
        self._ownership = ownership

    def all(self) -> list[str]:
        """Every name, in no order."""
        return [name for name in names_if_any(self._folder) if is_name(name)]

    def get(self, name: str) -> str | None:
        """The id that a name points to, whether or not that net is still there."""
        net_id = self._read(name)
        if net_id is not None and not is_id(net_id):
            raise StoreFailed(
                f"The name `{name}` cannot be read any more.",
                code="store_damaged",
                where=name,
                remedy="Remove the name, then give it to its net again.",
            )
        return net_id

    def of(self, net_id: str) -> list[str]:
        """The names that point to a net."""
        hints = names_if_any(self._hints(net_id))
        return sorted(name for name in hints if self._read(name) == net_id)

    def bind(self, name: str, net_id: str, replace: bool) -> bool:
        """Let a name point to a net of the owner's. Only in the owner's turn."""
        current = self.get(name)
        if current == net_id:
            return False
        if current is not None and not replace and self._ownership.owns(current, self._key):
            raise Conflict(
                f"The name `{name}` belongs to another net.",
                code="name_taken",
                where=name,
                found=f"the net {current}",
                remedy="Choose another name, or ask for the name to be replaced.",
            )
        self._point(name, net_id)
        if current is not None:
            self._forget_hint(name, current)
        return True

    def unbind(self, name: str) -> bool:
        """Remove a name, readable or not. Whether it was there. Only in the owner's turn."""
        current = self._read(name)
        if current is None:
            return False
        (self._folder / name).unlink()
        sync(self._folder)
        if is_id(current):
            self._forget_hint(name, current)
        return True

    def _read(self, name: str) -> str | None:
        if not is_name(name):
            return None
        try:
            with open(f"{self._folder}/{name}", "rb") as file:  # noqa: PTH123 (calls are hot)
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return None

    def _point(self, name: str, net_id: str) -> None:
        hints = self._hints(net_id)
        (hints / name).touch()
        sync(hints)
        write_synced(self._folder / _NEXT, net_id)
        (self._folder / _NEXT).replace(self._folder / name)
        sync(self._folder)

    def _forget_hint(self, name: str, net_id: str) -> None:
        with suppress(FileNotFoundError):
            (self._hints(net_id) / name).unlink()

    def _hints(self, net_id: str) -> Path:
        return self._ownership.folder(net_id, self._key)
