"""What a store of nets is, whatever it is made of, and what ids and names look like.

A net is kept whole or not at all, under its id, and never changes. A name points to one net; a
net may have several.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from portgrad.errors import InvalidRequest
from portgrad.graph.files import NetFiles
from portgrad.store.staging import Scratch
from portgrad.store.upload import Upload

__all__ = ["Figures", "NetStore", "Upload", "check_name", "is_id"]

_ID = re.compile(r"[0-9a-f]{64}")
# A name is too short to be read as an id: 63 characters against 64.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_RESERVED_SUFFIX = ".gradient"


@dataclass(frozen=True)
class Figures:
    """What a store holds: nets, their bytes, and the bytes that its disk has left."""

    nets: int
    bytes: int
    free: int


class NetStore(Protocol):
    """Keeps nets and names. Every method may block on a disk or network, and any thread may call.

    Methods that take a net's id raise NotFound (`net_not_found`) where no such net is kept; all
    raise StoreFailed (`store_full`, `store_unavailable`, `store_damaged`).
    """

    def begin(self) -> Upload:
        """A private place for the files of one net, as they arrive."""

    def scratch(self) -> Scratch:
        """A private folder on the same disk, for what is made on the way to an answer."""

    def commit(self, upload: Upload, description: Mapping[str, Any]) -> bool:
        """Keep a closed upload and what describes it. Whether it is new here.

        Whoever commits the same net at the same time, one is told that it is new. When this
        returns, the net survives a loss of power.
        """

    def has(self, net_id: str) -> bool:
        """Whether the net is kept, as surely as if it had been committed just now."""

    def files(self, net_id: str) -> NetFiles:
        """The files of a net, for reading only."""

    def description(self, net_id: str) -> dict[str, Any]:
        """What the net was committed with."""

    def verify(self, net_id: str) -> None:
        """Read every byte of a net; raises StoreFailed (`store_damaged`) if one has changed."""

    def page(self, after: str | None, limit: int) -> tuple[list[str], str | None]:
        """At most `limit` ids, in order, beyond `after`; and the next `after`, if there is more."""

    def delete(self, net_id: str) -> None:
        """Remove a net and its names. What has its files open reads on."""

    def resolve(self, ref: str) -> str:
        """The id that an id or a name stands for; NotFound offers the nearest names."""

    def names(self, net_id: str) -> list[str]:
        """The names of a net, in order."""

    def bind(self, name: str, net_id: str, replace: bool = False) -> bool:
        """Let a name point to a net. Whether anything changed.

        Raises Conflict (`name_taken`) where it points to another one, unless `replace` is set:
        then it moves, and is never missing in between.
        """

    def unbind(self, name: str) -> None:
        """Remove a name; the net stays."""

    def ready(self) -> None:
        """Raise StoreFailed unless nets can be read now."""

    def writable(self) -> None:
        """Raise StoreFailed unless nets can be kept now."""

    def figures(self) -> Figures:
        """How much is here. Takes long where very much is."""


def is_id(ref: str) -> bool:
    """Whether a reference has the form of a net's id; otherwise it can only be a name."""
    return _ID.fullmatch(ref) is not None


def is_name(ref: str) -> bool:
    """Whether a reference has the form of a name."""
    return _NAME.fullmatch(ref) is not None and not ref.endswith(_RESERVED_SUFFIX)


def check_name(name: str) -> None:
    """Refuse what cannot be a net's name: InvalidRequest, `invalid_name`."""
    if not is_name(name):
        raise InvalidRequest(
            f"{name[:80]!r} cannot be the name of a net.",
            code="invalid_name",
            where="name",
            expected="1 to 63 letters, digits, dots, underscores and hyphens, the first a letter "
            f"or digit, not ending in `{_RESERVED_SUFFIX}`",
            remedy="Choose a name such as `acasxu` or `resnet-50_v1.5`; case counts.",
        )
