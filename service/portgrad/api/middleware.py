"""What every answer carries: a request id and Server-Timing. And the last resort for errors."""

from __future__ import annotations

import logging
import time

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portgrad.api.problems import Problem, internal_error
from portgrad.api.telling.metrics import STAGES
from portgrad.api.telling.record import Record, current
from portgrad.api.telling.teller import Teller

log = logging.getLogger("portgrad.api")

_TIMING = b", ".join([stage.encode() + b";dur=%.3f" for stage in (*STAGES, "total")])


def timings(request: Request) -> dict[str, float]:
    """Seconds by stage of this request; what is written here is told in Server-Timing."""
    return _record(request).stages


def count_in(request: Request, size: int) -> None:
    """Count bytes of a body that came past `receive`."""
    _record(request).bytes_in += size


class Timed:
    """Adds the time that its block takes to a stage of the request."""

    __slots__ = ("_record", "_stage", "_start")

    def __init__(self, request: Request, stage: str) -> None:
        self._record = _record(request)
        self._stage = stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()
        self._record.starts.setdefault(self._stage, self._start)

    def __exit__(self, *_: object) -> None:
        stages, stage = self._record.stages, self._stage
        stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - self._start


def _record(request: Request) -> Record:
    record: Record = request.scope["state"]["record"]
    return record


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
                message["headers"] = [*message["headers"], *self._told(record)]
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

    def _told(self, record: Record) -> list[tuple[bytes, bytes]]:
        """The headers of every answer."""
        seconds = record.stages.get
        total = time.perf_counter() - record.begun
        timing = _TIMING % (*[seconds(stage, 0.0) * 1000 for stage in STAGES], total * 1000)
        headers = [(b"x-request-id", record.request_id.encode()), (b"server-timing", timing)]
        return [*headers, (b"connection", b"close")] if self.teller.draining else headers
