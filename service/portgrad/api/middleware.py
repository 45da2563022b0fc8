"""What every answer carries: a request id and Server-Timing. And the last resort for errors."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portgrad.api.problems import Problem, internal_error

log = logging.getLogger("portgrad.api")

STAGES = ("decode", "queue", "compile", "run", "encode")
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def timings(request: Request) -> dict[str, float]:
    """Seconds by stage of this request; what is written here is told in Server-Timing."""
    stages: dict[str, float] = request.state.timings
    return stages


@contextmanager
def timed(request: Request, stage: str) -> Iterator[None]:
    """Add the time that the block takes to a stage."""
    start = time.perf_counter()
    try:
        yield
    finally:
        stages = timings(request)
        stages[stage] = stages.get(stage, 0.0) + time.perf_counter() - start


class Traced:
    """Pure ASGI middleware: gives each request an id and stages, and answers what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id = _request_id(scope)
        stages: dict[str, float] = {}
        scope.setdefault("state", {}).update(request_id=request_id, timings=stages)
        started = False

        async def send_traced(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(raw=message["headers"])
                headers["X-Request-Id"] = request_id
                headers["Server-Timing"] = _server_timing(stages, time.perf_counter() - start)
            await send(message)

        try:
            await self.app(scope, receive, send_traced)
        except ClientDisconnect:
            log.info("The client left during request %s.", request_id)
        except Exception:
            log.exception("Request %s failed.", request_id)
            if started:
                raise
            await Problem(internal_error(), request_id)(scope, receive, send_traced)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid.uuid4().hex


def _server_timing(stages: dict[str, float], total: float) -> str:
    told = {stage: stages.get(stage, 0.0) for stage in STAGES} | {"total": total}
    return ", ".join(f"{stage};dur={seconds * 1000:.3f}" for stage, seconds in told.items())
