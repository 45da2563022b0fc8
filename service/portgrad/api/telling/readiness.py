"""Whether the service is able to take calls, asked as often as anybody likes.

Ready means: nets can be read, a worker lives and takes work, and nobody has asked the service to
stop. A store that can be read and not written is ready, and says so: calls on the nets that are
there work, uploads are refused with a problem of their own, and the other replicas share its disk.

The disk is looked at once a second at most, however many ask; where it hangs, nobody waits long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Literal

from starlette.concurrency import run_in_threadpool

from portgrad.api.telling.teller import Teller
from portgrad.compute.jobs import Compute
from portgrad.errors import Busy, StoreFailed
from portgrad.store import NetStore

log = logging.getLogger("portgrad.api")

StoreState = Literal["ok", "read_only", "unavailable", "no_answer"]

_FRESH = 1.0
_PATIENCE = 1.0


@dataclass(frozen=True)
class Parts:
    """What being ready depends on."""

    store: StoreState
    workers: Literal["ok", "none"]
    draining: bool

    @property
    def ready(self) -> bool:
        """Whether calls can be taken."""
        return self.store in {"ok", "read_only"} and self.workers == "ok" and not self.draining

    def plain(self) -> dict[str, str | bool]:
        """As a probe's answer has it."""
        return {"store": self.store, "workers": self.workers, "draining": self.draining}


class Readiness:
    """Looks at a store, a compute, and whether the service was asked to stop."""

    def __init__(self, store: NetStore, compute: Compute, teller: Teller) -> None:
        self._teller = teller
        self._store = store
        self._compute = compute
        self._state: StoreState = "no_answer"
        self._looked = float("-inf")
        self._looking: asyncio.Task[StoreState] | None = None

    async def parts(self) -> Parts:
        """How each part is."""
        workers = self._compute.stats().serving
        return Parts(await self._store_state(), "ok" if workers else "none", self._teller.draining)

    async def check(self) -> Parts:
        """How each part is, where that is well; else raises Busy (`not_ready`)."""
        parts = await self.parts()
        if not parts.ready:
            raise Busy(
                "The service is not ready to take calls.",
                code="not_ready",
                expected="a store that can be read, a living worker, and no order to stop",
                found=", ".join(f"{name}: {_word(how)}" for name, how in parts.plain().items()),
                remedy="Ask another replica, or again in a moment.",
            )
        return parts

    async def _store_state(self) -> StoreState:
        if self._looking is None and time.monotonic() - self._looked >= _FRESH:
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            looking = self._looking
            done, _ = await asyncio.wait({looking}, timeout=_PATIENCE)
            return looking.result() if done else "no_answer"
        return self._state

    async def _look(self) -> StoreState:
        try:
            state = await run_in_threadpool(_look_at, self._store)
            if state != self._state:
                log.log(logging.INFO if state == "ok" else logging.WARNING, "The store: %s.", state)
            self._state, self._looked = state, time.monotonic()
            return state
        finally:
            self._looking = None


def _look_at(store: NetStore) -> StoreState:
    try:
        store.ready()
    except StoreFailed:
        return "unavailable"
    try:
        store.writable()
    except StoreFailed:
        return "read_only"
    return "ok"


def _word(how: str | bool) -> str:
    return how if isinstance(how, str) else ("yes" if how else "no")
