"""What was found whole a moment ago: calls on busy nets ask the disk a few times a second.

A disk may be slow, so it is asked in a thread; to hand a call to a thread and back takes longer
than a tiny net's gradient. What another process changes shows a moment later; what this one does,
at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from functools import wraps
from threading import Lock
from typing import Any, TypeVar, cast

from portgrad.store.nets import StoredNet

SECONDS = 0.25
_MOST = 4096

Method = TypeVar("Method", bound=Callable[..., Any])


class Recent:
    """Nets by who asked and how, for `SECONDS`; any thread may use it.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[Hashable, tuple[StoredNet, float]] = {}
        self._changes = 0
        self._lock = Lock()

    def get(self, asked: Hashable) -> StoredNet | None:
        """What was found, if it was a moment ago."""
        found = self._found.get(asked)
        return found[0] if found is not None and self._clock() < found[1] else None

    def begin(self) -> tuple[int, float]:
        """When a look at the disk begins; for `keep`."""
        return self._changes, self._clock() + SECONDS

    def keep(self, asked: Hashable, net: StoredNet, begun: tuple[int, float]) -> None:
        """Keep what a look found, unless something was changed meanwhile."""
        changes, until = begun
        with self._lock:
            if changes == self._changes:
                if len(self._found) >= _MOST:
                    self._found.clear()  # nearly all of it is old
                self._found[asked] = net, until

    def forget(self) -> None:
        """Something was changed here."""
        with self._lock:
            self._changes += 1
            self._found.clear()


def changing(method: Method) -> Method:
    """A method of what has `recent`; however it ends, nothing counts that was found before."""

    @wraps(method)
    def changed(self: Any, *given: Any, **named: Any) -> Any:
        try:
            return method(self, *given, **named)
        finally:
            self.recent.forget()

    return cast("Method", changed)
