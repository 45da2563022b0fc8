"""Nets that crashed workers, and those that did so too often to be run again.

Whoever crashes a net does so to himself: others who share it may go on."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from portgrad.errors import Quarantined

# An adversary may upload any number of nets that crash; those that do so most lately are kept.
_REMEMBERED = 10_000


_Key: TypeAlias = tuple[str, str]  # of a net and an owner


@dataclass
class _Record:
    crashes: int
    until: float


class Quarantine:
    """Counts crashes by net and by who asked.

    Args:
        after: crashes after which a net is quarantined.
        seconds: how long a crash is remembered, and a quarantine lasts.
        clock: seconds that only grow.
    """

    def __init__(
        self, after: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._after = after
        self._seconds = seconds
        self._clock = clock
        self._records: OrderedDict[_Key, _Record] = OrderedDict()

    def crashed(self, net_id: str, owner: str) -> int:
        """Count a crash; how many there are now."""
        key = net_id, owner
        crashes = self._crashes(key) + 1
        self._records[key] = _Record(crashes, self._clock() + self._seconds)
        self._records.move_to_end(key)
        if len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)
        return crashes

    def check(self, net_id: str, owner: str) -> None:
        """Raise Quarantined where the net is, for this owner's calls."""
        crashes = self._crashes((net_id, owner)) if self._records else 0
        if crashes < self._after:
            return
        left = self._records[net_id, owner].until - self._clock()
        raise Quarantined(
            f"The net {net_id} is quarantined: it crashed {crashes} workers.",
            where=net_id,
            expected=f"a net that crashes fewer than {self._after} workers",
            found=f"{crashes}; the quarantine ends in {left:.0f} s",
            remedy="Find out which data or operator crashes the runtime, and export the net "
            "without it. Who operates the service can release it: DELETE /quarantine/{net}.",
        )

    def listed(self) -> list[dict[str, Any]]:
        """The nets that are quarantined now."""
        now = self._clock()
        found = [key for key in [*self._records] if self._crashes(key) >= self._after]
        return [
            {
                "net": net_id,
                "owner": owner,
                "crashes": self._records[net_id, owner].crashes,
                "seconds": round(self._records[net_id, owner].until - now, 1),
            }
            for net_id, owner in found
        ]

    def release(self, net_id: str) -> bool:
        """Forget the crashes of a net, whoever caused them; whether it was quarantined."""
        keys = [key for key in self._records if key[0] == net_id]
        was = any(self._crashes(key) >= self._after for key in keys)
        for key in keys:
            self._records.pop(key, None)
        return was

    def _crashes(self, key: _Key) -> int:
        """The crashes that are remembered."""
        record = self._records.get(key)
        if record is not None and record.until <= self._clock():
            del self._records[key]
            return 0
        return 0 if record is None else record.crashes
