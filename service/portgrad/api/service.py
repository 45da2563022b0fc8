"""What every route works with, and nets looked up off the event loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from portgrad.api.admission import Admission
from portgrad.api.telling.readiness import Readiness
from portgrad.api.telling.record import note_net
from portgrad.api.telling.scrape import Scrape
from portgrad.api.telling.teller import Teller
from portgrad.compute.jobs import Compute, Description
from portgrad.graph.files import NetFiles
from portgrad.settings import Settings
from portgrad.store import NetStore

_DESCRIPTIONS_KEPT = 256


@dataclass(frozen=True)
class Found:
    """A net of the store. `description` is shared between requests: read it only."""

    net_id: str
    files: NetFiles
    description: Description


class Service:
    """The store, compute and settings of one application, and what it tells operators."""

    def __init__(
        self, store: NetStore, compute: Compute, settings: Settings, teller: Teller
    ) -> None:
        self.store = store
        self.compute = compute
        self.settings = settings
        self.teller = teller
        self.readiness = Readiness(store, compute, teller)
        self.scrape = Scrape(teller.metrics, self.readiness, store, compute)
        self.admission = Admission(settings)
        # A net never changes, so neither does what describes it; its names do.
        self._description = lru_cache(_DESCRIPTIONS_KEPT)(store.description)

    async def find(self, ref: str) -> Found:
        """The net with that id or name; raises NotFound. One hop to a thread, as calls are hot."""
        return await run_in_threadpool(self._find, ref)

    def _find(self, ref: str) -> Found:
        net_id = self.store.resolve(ref)
        note_net(net_id)
        return Found(net_id, self.store.files(net_id), self._description(net_id))

    def described(self, net_id: str) -> dict[str, Any]:
        """The description of a net as it goes out, with its id and names. Reads the disk."""
        return {
            "id": net_id,
            "names": self.store.names(net_id),
            **self._description(net_id),
        }


def service_of(request: Request) -> Service:
    """The service that the application of this request was made with."""
    service: Service = request.app.state.service
    return service
