"""What a store of nets is, whatever it is made of, and what ids and names look like.

A net is kept whole or not at all, under its id, and never changes. It may have several owners,
each with names of their own for it; a name points to one net.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from portgrad.codecs.model import Known
from portgrad.errors import InvalidRequest
from portgrad.graph.files import NetFiles
from portgrad.store.quota import UNLIMITED, Quota
from portgrad.store.staging import Scratch
from portgrad.store.upload import Upload

__all__ = ["Figures", "NetStore", "Shelf", "StoredNet", "Upload", "check_name", "is_id"]

_ID = re.compile(r"[0-9a-f]{64}")
# A name is too short to be read as an id: 63 characters against 64.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_RESERVED_SUFFIX = ".gradient"


@dataclass(frozen=True)
class StoredNet:
    """A net as it is kept. It is shared between readers: change nothing of it.

    Attributes:
        net_id: its id.
        files: its files.
        description: what it was committed with.
        batchable: whether it is declared batchable by the owner who asks, or who shares it.
    """

    net_id: str
    files: NetFiles
    description: dict[str, Any]
    batchable: bool = False

    @cached_property
    def declared(self) -> StoredNet:
        """The same net, declared batchable."""
        return replace(self, batchable=True)

    @cached_property
    def known(self) -> Known:
        """Its names."""
        return Known.of(self.description)


@dataclass(frozen=True)
class Figures:
    """What a store holds: nets, their bytes, and the bytes that its disk has left."""

    nets: int
    bytes: int
    free: int


class NetStore(Protocol):
    """Keeps nets and names for several owners. Any method may block, and any thread may call."""

    def of(self, owner: str, *, everything: bool = False, quota: Quota = UNLIMITED) -> Shelf:
        """The store as one owner sees it.

        Args:
            owner: who asks, any text.
            everything: whether nets of others are seen too, by their ids.
            quota: how much the owner may keep.
        """

    def ready(self) -> None:
        """Raise StoreFailed unless nets can be read now."""

    def writable(self) -> None:
        """Raise StoreFailed unless nets can be kept now."""

    def figures(self) -> Figures:
        """How much is here. Takes long where very much is."""


class Shelf(Protocol):
    """What one owner sees of a store: their own nets and names, and what others share, by its id.

    What is somebody else's is answered as what does not exist. Methods that take a net's id raise
    NotFound (`net_not_found`) where the owner sees no such net; those that change one raise
    Forbidden (`not_owner`) where it is seen and not theirs; all raise StoreFailed (`store_full`,
    `store_unavailable`, `store_damaged`).
    """

    def begin(self) -> Upload:
        """A private place for the files of one net, as they arrive.

        Writing to it raises LimitExceeded (`quota_exceeded`) where uploads under way are larger
        than all that the owner may keep.
        """

    def scratch(self) -> Scratch:
        """A private folder on the same disk, for what is made on the way to an answer."""

    def afford(self, upload: Upload) -> None:
        """Raise LimitExceeded (`too_many_nets`, `quota_exceeded`) if there is no room for it."""

    def commit(self, upload: Upload, description: Mapping[str, Any]) -> bool:
        """Keep a closed upload and what describes it. Whether it is new to the owner.

        Whoever commits the same net at the same time, one is told that it is new. When this
        returns, the net survives a loss of power. Where it is here already it is kept once, with
        its first description, and repaired if it was damaged.

        Raises:
            LimitExceeded: `too_many_nets`, `quota_exceeded`.
        """

    def has(self, net_id: str) -> bool:
        """Whether the net is the owner's and whole, as surely as if committed just now."""

    def get(self, ref: str) -> StoredNet:
        """The net that an id or a name stands for."""

    def find(self, ref: str) -> tuple[StoredNet, bool]:
        """As `get`, and whether this process has read every byte of the files that are there."""

    def quick(self, ref: str) -> bool:
        """Whether `find` would find that in memory, without waiting for a disk. Never blocks."""

    def verify(self, net_id: str) -> None:
        """Read every byte of a net; raises StoreFailed (`store_damaged`) if one has changed."""

    def page(self, after: str | None, limit: int) -> tuple[list[str], str | None]:
        """At most `limit` ids of the owner's nets, in order, beyond `after`; the next `after`."""

    def delete(self, net_id: str, *, everyone: bool = False) -> bool:
        """Remove a net of the owner's, with its names. Whether nobody has it any more.

        What has its files open reads on. With `everyone`, who sees everything takes it away from
        each of its owners.
        """

    def share(self, net_id: str, shared: bool) -> None:
        """Let everybody see a net of the owner's, or no longer."""

    def declare(self, net_id: str, batchable: bool) -> None:
        """Note that the owner declares a net batchable, which was checked; or no longer."""

    def is_shared(self, net_id: str) -> bool:
        """Whether the owner shares a net; of a net of somebody else's, whether anyone does."""

    def resolve(self, ref: str) -> str:
        """The id that an id or a name stands for; NotFound offers the nearest names."""

    def names(self, net_id: str) -> list[str]:
        """The owner's names of a net, in order."""

    def bind(self, name: str, net_id: str, replace: bool = False) -> bool:
        """Let a name point to a net of the owner's. Whether anything changed.

        Raises Conflict (`name_taken`) where it points to another one, unless `replace` is set:
        then it moves, and is never missing in between.
        """

    def unbind(self, name: str) -> None:
        """Remove a name; the net stays."""


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
