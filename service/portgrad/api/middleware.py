"""What every answer carries: a request id and Server-Timing. And the last resort for errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portgrad.api.problems import Problem, internal_error
from portgrad.api.telling.metrics import STAGES
from portgrad.api.telling.record import Record, current
from portgrad.api.telling.teller import Teller

log = logging.getLogger("portgrad.api")


def timings(request: Request) -> dict[str, float]:
    """Seconds by stage of this request; what is written here is told in Server-Timing."""
    record: Record = request.state.record
    return record.stages


@contextmanager
def timed(request: Request, stage: str) -> Iterator[None]:
    """Add the time that the block takes to a stage."""
    record: Record = request.state.record
    start = time.perf_counter()
    record.starts.setdefault(stage, start)
    try:
        yield
    finally:
        stages = record.stages
        stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - start


class Traced:
    """Pure ASGI middleware: a record for each request, an answer where nobody gave one."""

    def __init__(self, app: ASGIApp, teller: Teller) -> None:
        self.app = app
        self.teller = teller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = self.teller.begin(scope)
        scope.setdefault("state", {}).update(request_id=record.request_id, record=record)
        serving = current.set(record)
        try:
            await self._serve(scope, receive, send, record)
        finally:
            self.teller.end(record, scope)
            current.reset(serving)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, record: Record) -> None:
        async def receive_counted() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                record.bytes_in += len(message.get("body", b""))
            else:
                record.left = True
            return message

        async def send_traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                self._complete(MutableHeaders(raw=message["headers"]), record)
            else:
                record.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive_counted, send_traced)
        except ClientDisconnect:
            record.left = True
            log.info("The client left during request %s.", record.request_id)
        except Exception:
            log.exception("Request %s failed.", record.request_id)
            if record.status:
                raise
            problem = Problem(internal_error(), record.request_id)
            await problem(scope, receive_counted, send_traced)

    def _complete(self, headers: MutableHeaders, record: Record) -> None:
        headers["X-Request-Id"] = record.request_id
        total = time.perf_counter() - record.begun
        headers["Server-Timing"] = _server_timing(record.stages, total)
        if self.teller.draining:
            headers["Connection"] = "close"


def _server_timing(stages: dict[str, float], total: float) -> str:
    told = {stage: stages.get(stage, 0.0) for stage in STAGES} | {"total": total}
    return ", ".join(f"{stage};dur={seconds * 1000:.3f}" for stage, seconds in told.items())
