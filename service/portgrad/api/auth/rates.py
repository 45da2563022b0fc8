"""How often, and how much at once: of callers, and of addresses whose credentials fail.

Counted in this process alone: of N replicas each allows as much.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from portgrad.api.auth.callers import Caller
from portgrad.errors import TooManyRequests
from portgrad.settings import Settings

# How many are remembered. What is forgotten first was seen longest ago, and starts anew.
KEPT = 10_000


class Buckets:
    """A bucket for each name: it holds `per_minute`, and so many flow in during a minute.

    Of each bucket one number is kept: when it will be full again. A call takes one, which puts
    that off by the time that one takes to flow in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str, per_minute: int) -> float:
        """Take one. Seconds until there will be one, if there is none now; else 0."""
        now, each = self._clock(), 60.0 / per_minute
        full = max(self._full.get(name, now), now) + each
        wait = full - now - 60.0
        if wait > 1e-9:  # sums of floats are not exact
            return wait
        self._full[name] = full
        self._full.move_to_end(name)
        if len(self._full) > KEPT:
            self._full.popitem(last=False)
        return 0.0


class Turns:
    """What each caller uses of its rate and its number of requests at once."""

    def __init__(self, settings: Settings) -> None:
        self._per_minute = settings.requests_per_minute
        self._at_once = settings.max_concurrent
        self._buckets = Buckets()
        self._now: Counter[str] = Counter()

    def begin(self, caller: Caller) -> str | None:
        """A turn of this caller begins; what `end` takes, if anything, once it is over.

        Raises:
            TooManyRequests: `rate_limited`, `too_many_at_once`.
        """
        at_once = caller.quota.max_concurrent or self._at_once
        per_minute = caller.quota.requests_per_minute or self._per_minute
        if at_once is None and per_minute is None:
            return None
        name = caller.key or caller.owner
        if at_once is not None and self._now[name] >= at_once:
            raise _too_many_at_once(at_once)
        if per_minute is not None and (wait := self._buckets.take(name, per_minute)):
            raise _too_often(per_minute, wait)
        self._now[name] += 1
        return name

    def end(self, turn: str | None) -> None:
        """That turn is over."""
        if turn is not None:
            self._now[turn] -= 1
            if not self._now[turn]:
                del self._now[turn]


def _too_many_at_once(allowed: int) -> TooManyRequests:
    return TooManyRequests(
        "This caller has as many requests under way as it may.",
        code="too_many_at_once",
        expected=f"at most {allowed} at once",
        remedy="Wait for one of them to be answered.",
    )


def _too_often(per_minute: int, wait: float) -> TooManyRequests:
    return TooManyRequests(
        "This caller asks more often than it may.",
        retry_after=max(1, math.ceil(wait)),
        code="rate_limited",
        expected=f"at most {per_minute} requests in a minute",
        remedy="Wait as long as `Retry-After` says.",
    )
