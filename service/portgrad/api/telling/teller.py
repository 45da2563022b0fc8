"""Where a request's record goes when it has ended: log, metrics and traces."""

from __future__ import annotations

from starlette.types import Scope

from portgrad.api.telling.logs import AccessLog
from portgrad.api.telling.metrics import Metrics
from portgrad.api.telling.record import Record, begin, route_of
from portgrad.settings import Settings


class Teller:
    """What one application tells its operators.

    Args:
        settings: how, and how much.

    Attributes:
        metrics: what has been served so far.
        draining: whether the service was asked to stop; set by whoever stops it.
    """

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics(settings.metrics_nets)
        self.draining = False
        self._access = AccessLog(settings.log_format)

    def begin(self, scope: Scope) -> Record:
        """A request has come."""
        self.metrics.under_way += 1
        return begin(scope)

    def end(self, record: Record, scope: Scope) -> None:
        """It has been served, or was given up."""
        self.metrics.under_way -= 1
        record.end()
        route = route_of(scope)
        self.metrics.add(record, route)
        self._access.add(record, route, scope)
