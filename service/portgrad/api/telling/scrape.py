"""One answer to `GET /metrics`: what is at hand is read on the event loop, the rest in a thread."""

from __future__ import annotations

import asyncio
import time
from itertools import chain

from starlette.concurrency import run_in_threadpool

from portgrad.api.telling.gauges import Now, Watched, gauges
from portgrad.api.telling.metrics import Metrics
from portgrad.api.telling.readiness import Readiness
from portgrad.compute.jobs import Compute
from portgrad.errors import StoreFailed
from portgrad.store import Figures, NetStore

# Counting a store of very many nets takes seconds: done this often at most, and nobody waits long.
_COUNTED_EVERY = 30.0
_PATIENCE = 1.0


class Scrape:
    """What a scraper is answered."""

    def __init__(
        self, metrics: Metrics, readiness: Readiness, store: NetStore, compute: Compute
    ) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._store = store
        self._compute = compute
        self._figures: Figures | None = None
        self._counted = float("-inf")
        self._counting: asyncio.Task[None] | None = None
        self._watched: list[Watched] = []
        under_way = "Requests that are being answered, scrapes included."
        self.watch(Watched("requests_under_way", under_way, lambda: metrics.under_way))

    def watch(self, watched: Watched) -> None:
        """Tell one more number."""
        self._watched.append(watched)

    async def text(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the format that the scraper likes best, and that format's media type."""
        now = Now(
            await self._readiness.parts(),
            self._compute.stats(),
            await self._count(),
            list(self._metrics.busy),
            [(watched, watched.value()) for watched in self._watched],
        )
        counted = self._metrics.families()
        return await run_in_threadpool(
            lambda: self._metrics.exposed(accept, chain(counted, gauges(now))),
        )

    async def _count(self) -> Figures | None:
        if self._counting is None and time.monotonic() - self._counted >= _COUNTED_EVERY:
            self._counting = asyncio.create_task(self._count_once())
        if self._counting is not None:
            done, _ = await asyncio.wait({self._counting}, timeout=_PATIENCE)
            for counting in done:
                counting.result()  # raises what nobody foresaw
        return self._figures

    async def _count_once(self) -> None:
        try:
            self._figures = await run_in_threadpool(self._store.figures)
        except StoreFailed:  # `store_readable` tells of it
            self._figures = None
        finally:
            self._counting, self._counted = None, time.monotonic()
