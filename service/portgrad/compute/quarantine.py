"""Nets that crashed workers, and those that did so too often to be run again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portgrad.errors import Quarantined

# An adversary may upload any number of nets that crash; those that do so most lately are kept.
_REMEMBERED = 10_000


@dataclass
class _Record:
    crashes: int
    until: float


class Quarantine:
    """Counts crashes by net.

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
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def crashed(self, net_id: str) -> int:
        """Count a crash; how many the net has to its name now."""
        crashes = self.crashes(net_id) + 1
        self._records[net_id] = _Record(crashes, self._clock() + self._seconds)
        self._records.move_to_end(net_id)
        if len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)
        return crashes

    def crashes(self, net_id: str) -> int:
        """The crashes of a net that are remembered."""
        record = self._records.get(net_id)
        if record is not None and record.until <= self._clock():
            del self._records[net_id]
            return 0
        return 0 if record is None else record.crashes

    def check(self, net_id: str) -> None:
        """Raise Quarantined where the net is."""
        if not self._records or self.crashes(net_id) < self._after:
            return
        left = self._records[net_id].until - self._clock()
        raise Quarantined(
            f"The net {net_id} is quarantined: it crashed {self.crashes(net_id)} workers.",
            where=net_id,
            expected=f"a net that crashes fewer than {self._after} workers",
            found=f"{self.crashes(net_id)}; the quarantine ends in {left:.0f} s",
            remedy="Find out which data or operator crashes the runtime, and export the net "
            "without it. Who operates the service can release it: DELETE /quarantine/{net}.",
        )

    def listed(self) -> list[dict[str, Any]]:
        """The nets that are quarantined now."""
        quarantined = [net_id for net_id in [*self._records] if self.crashes(net_id) >= self._after]
        now = self._clock()
        return [
            {
                "net": net_id,
                "crashes": self._records[net_id].crashes,
                "seconds": round(self._records[net_id].until - now, 1),
            }
            for net_id in quarantined
        ]

    def release(self, net_id: str) -> bool:
        """Forget the crashes of a net; whether it was quarantined."""
        was = self.crashes(net_id) >= self._after
        self._records.pop(net_id, None)
        return was
