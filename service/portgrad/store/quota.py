"""How much one owner may keep."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Lock

from portgrad.errors import LimitExceeded


@dataclass(frozen=True)
class Held:
    """How many nets an owner has, and their bytes."""

    nets: int
    bytes: int

    def with_net(self, size: int) -> Held:
        """The same and one net more."""
        return Held(self.nets + 1, self.bytes + size)


@dataclass(frozen=True)
class Quota:
    """The most nets and the most bytes of one owner; None for no limit."""

    nets: int | None = None
    bytes: int | None = None

    def check(self, held: Held, more: int) -> None:
        """Refuse a net of `more` bytes beside what is held.

        Raises:
            LimitExceeded: `too_many_nets`, `quota_exceeded`.
        """
        if self.nets is not None and held.nets >= self.nets:
            raise LimitExceeded(
                "There is no room for another net of yours.",
                code="too_many_nets",
                where="max_nets_per_owner",
                expected=f"at most {self.nets} nets of one owner",
                found=f"{held.nets} nets",
                remedy="Remove nets that are no longer needed, or ask the operator for more.",
            )
        if self.bytes is not None and held.bytes + more > self.bytes:
            raise LimitExceeded(
                "There is no room for a net of this size.",
                code="quota_exceeded",
                where="max_bytes_per_owner",
                expected=f"at most {self.bytes} bytes of all nets of one owner",
                found=f"{held.bytes} bytes, and {more} more in this net",
                remedy="Remove nets that are no longer needed, or ask the operator for more.",
            )


UNLIMITED = Quota()


class Arriving:
    """Bytes of uploads under way, by owner, of this process.

    Together they may be as many as an owner may keep, so that uploads which are begun and never
    ended fill no disk.
    """

    def __init__(self) -> None:
        self._bytes: Counter[str] = Counter()
        self._lock = Lock()

    def allowance(self, owner: str, quota: Quota) -> Allowance:
        """What one upload of that owner may write."""
        return Allowance(self, owner, quota.bytes)

    def add(self, owner: str, more: int, most: int | None) -> bool:
        """Count bytes if no more than `most` are under way with them. Whether that is so."""
        with self._lock:
            arriving = self._bytes[owner] + more
            if most is not None and arriving > most:
                return False
            self._bytes[owner] = arriving
            return True

    def forget(self, owner: str, written: int) -> None:
        """Count bytes no longer."""
        with self._lock:
            self._bytes[owner] -= written
            if self._bytes[owner] <= 0:
                del self._bytes[owner]


class Allowance:
    """What one upload may write, and has written."""

    def __init__(self, arriving: Arriving, owner: str, most: int | None) -> None:
        self._arriving = arriving
        self._owner = owner
        self._most = most
        self.written = 0

    def take(self, more: int) -> None:
        """Count bytes that are about to be written.

        Raises:
            LimitExceeded: `quota_exceeded`.
        """
        if not self._arriving.add(self._owner, more, self._most):
            raise LimitExceeded(
                "The uploads that you have under way are larger than all that you may keep.",
                code="quota_exceeded",
                where="max_bytes_per_owner",
                expected=f"at most {self._most} bytes of all nets of one owner",
                found=f"more than {self._most} bytes on their way",
                remedy="Upload one net after the other, or ask the operator for more.",
            )
        self.written += more

    def release(self) -> None:
        """The upload is kept or left."""
        self._arriving.forget(self._owner, self.written)
        self.written = 0
