"""Where a request's record goes when it has ended: log, metrics and traces."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from portgrad.api.telling import traces
from portgrad.api.telling.logs import AccessLog
from portgrad.api.telling.metrics import Metrics
from portgrad.api.telling.record import Record, begin, route_of
from portgrad.api.telling.traces import Traces
from portgrad.settings import Settings


class Teller:
    """What one application tells its operators.

    Args:
        settings: how, and how much.

    Attributes:
        metrics: what has been served so far.
        traces: where spans go, if they are wanted.
        draining: whether the service was asked to stop; set by whoever stops it.

    Raises:
        PortgradError: `otel_not_installed`, where traces are wanted and cannot be had.
    """

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics(settings.metrics_nets)
        endpoint = settings.otlp_endpoint
        self.traces: Traces | None = traces.exporting(endpoint) if endpoint else None
        self.draining = False
        self._access = AccessLog(settings.log_format)

    def begin(self, scope: Scope) -> Record:
        """A request has come."""
        self.metrics.under_way += 1
        record = begin(scope)
        if self.traces is not None:
            record.span = self.traces.begin(record)
        return record

    def end(self, record: Record, scope: Scope) -> None:
        """It has been served, or was given up."""
        self.metrics.under_way -= 1
        record.end()
        route = route_of(scope)
        self.metrics.add(record, route)
        caller = scope["state"].get("caller")
        # Nobody in particular has an empty name.
        record.owner = getattr(caller, "owner", None) or None
        record.key = getattr(caller, "key", None)
        self._access.add(record, route)
        if self.traces is not None:
            self.traces.end(record.span, record, route)

    async def close(self) -> None:
        """Let go of what is still to be told."""
        if self.traces is not None:
            await run_in_threadpool(self.traces.close)
