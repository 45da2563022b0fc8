"""Names of nets on a disk.

    names/acasxu                  the id of the net it points to: this alone decides
    nets/<id>/names/acasxu        empty: a hint that makes a net's names quick to list

A hint is written before the name and removed after it, so a process that dies in between leaves
at most a hint too many, and readers ask the name itself. Writers take turns by a lock; readers
need none, as a name is replaced in one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portgrad.errors import Conflict, StoreFailed
from portgrad.store.disk import locked, make_folder, names_in, sync, write_synced
from portgrad.store.nets import is_id, is_name

_HINTS = "names"
_LOCK = ".lock"  # no name begins with a dot
_NEXT = ".next"


class Names:
    """The names of the nets in a folder."""

    def __init__(self, folder: Path, nets: Path) -> None:
        self._folder = folder
        self._nets = nets

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else binds or unbinds a name, or deletes a net, meanwhile."""
        with locked(self._folder / _LOCK):
            yield

    def all(self) -> list[str]:
        """Every name, in no order."""
        return [name for name in names_in(self._folder) if is_name(name)]

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
        try:
            hints = names_in(self._hints(net_id))
        except FileNotFoundError:  # it never had a name
            return []
        return sorted(name for name in hints if self._read(name) == net_id)

    def bind(self, name: str, net_id: str, replace: bool) -> bool:
        """Let a name point to a net that exists. Only in one's `turn`."""
        current = self.get(name)
        if current == net_id:
            return False
        if current is not None and not replace and (self._nets / current).is_dir():
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
        """Remove a name, readable or not. Whether it was there. Only in one's `turn`."""
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
            return (self._folder / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def _point(self, name: str, net_id: str) -> None:
        hints = self._hints(net_id)
        make_folder(hints)
        (hints / name).touch()
        sync(hints)
        write_synced(self._folder / _NEXT, net_id)
        (self._folder / _NEXT).replace(self._folder / name)
        sync(self._folder)

    def _forget_hint(self, name: str, net_id: str) -> None:
        with suppress(FileNotFoundError):
            (self._hints(net_id) / name).unlink()

    def _hints(self, net_id: str) -> Path:
        return self._nets / net_id / _HINTS
