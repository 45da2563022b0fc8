"""What every route works with, and nets looked up off the event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from portgrad.api.admission import Admission
from portgrad.api.auth import caller_of
from portgrad.api.patience import Patience
from portgrad.api.telling.gauges import Watched
from portgrad.api.telling.readiness import Readiness
from portgrad.api.telling.record import note_net
from portgrad.api.telling.scrape import Scrape
from portgrad.api.telling.teller import Teller
from portgrad.compute.jobs import Compute
from portgrad.errors import PortgradError
from portgrad.settings import Settings
from portgrad.store import NetStore, Quota, Shelf, StoredNet

# Hashing keeps a core busy for as long as it lasts: 0.6 seconds for each GB.
_HASHED_AT_ONCE = 2


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
        self.admission = Admission(settings)
        self.patience = Patience(min(0.25, settings.body_seconds / 4))
        self.scrape = Scrape(teller.metrics, self.readiness, store, compute)
        for watched in self._watched():
            self.scrape.watch(watched)
        self._quota = Quota(settings.max_nets_per_owner, settings.max_bytes_per_owner)
        self._hashing = asyncio.Semaphore(_HASHED_AT_ONCE)
        self._verifying: dict[tuple[Shelf, str], asyncio.Task[None]] = {}
        self._seen: dict[tuple[Shelf, str], tuple[StoredNet, bool]] = {}

    def _watched(self) -> list[Watched]:
        """What all requests together take, and may take."""
        settings, admission = self.settings, self.admission
        told = "Bytes of calls' bodies that are held, of what they unfold to, and of answers."
        return [
            Watched("requests_limit", "How many may be answered.", lambda: settings.max_requests),
            Watched("held_bytes", told, lambda: admission.held),
            Watched("held_limit_bytes", "How many may be held.", lambda: settings.max_held_bytes),
        ]

    def shelf(self, request: Request) -> Shelf:
        """The store as the caller sees it."""
        caller = caller_of(request)
        own = caller.quota
        quota = Quota(own.max_nets or self._quota.nets, own.max_bytes or self._quota.bytes)
        return self.store.of(caller.owner, everything=caller.everything, quota=quota)

    async def find(self, request: Request, ref: str) -> StoredNet:
        """The net with that id or name, its files as they were written; raises NotFound.

        Every byte is read once before the first call on a net, and again if its files changed:
        damage is an error, never a wrong gradient.
        """
        shelf = self.shelf(request)
        found = self._at_once(shelf, ref)
        if found is None:
            found = await asyncio.to_thread(shelf.find, ref)
        net, verified = found
        note_net(net.net_id)
        if not verified:
            await self._verify(shelf, net.net_id)
        return net

    def _at_once(self, shelf: Shelf, ref: str) -> tuple[StoredNet, bool] | None:
        """What is found without a disk. Calls of the same turn of the event loop share a look."""
        key = (shelf, ref)
        found = self._seen.get(key)
        if found is None:
            found = _glance(shelf, ref)
            if found is not None:
                if not self._seen:
                    asyncio.get_running_loop().call_soon(self._seen.clear)
                self._seen[key] = found
        return found

    async def _verify(self, shelf: Shelf, net_id: str) -> None:
        """Calls that come while a net is read wait for the same reading."""
        reading = self._verifying.get((shelf, net_id))
        if reading is None:
            reading = asyncio.create_task(self._read(shelf, net_id))
            self._verifying[shelf, net_id] = reading
            reading.add_done_callback(lambda done: self._read_once(done, shelf, net_id))
        await asyncio.shield(reading)

    async def _read(self, shelf: Shelf, net_id: str) -> None:
        async with self._hashing:
            await run_in_threadpool(shelf.verify, net_id)

    def _read_once(self, done: asyncio.Task[None], shelf: Shelf, net_id: str) -> None:
        del self._verifying[shelf, net_id]
        if not done.cancelled():
            done.exception()  # those who waited were told, or are gone


def _glance(shelf: Shelf, ref: str) -> tuple[StoredNet, bool] | None:
    """What is found without a disk. A hop to a thread and back costs more than a tiny gradient."""
    if not shelf.quick(ref):
        return None
    try:
        return shelf.find(ref)
    except PortgradError:
        return None  # to say why takes the disk


def described(shelf: Shelf, ref: str) -> dict[str, Any]:
    """What describes a net as it goes out, with what its owner calls it. Reads the disk."""
    net = shelf.get(ref)
    return {
        "id": net.net_id,
        "names": shelf.names(net.net_id),
        "shared": shelf.is_shared(net.net_id),
        "batchable": net.batchable,
        **net.description,
    }


def service_of(request: Request) -> Service:
    """The service that the application of this request was made with."""
    service: Service = request.app.state.service
    return service
