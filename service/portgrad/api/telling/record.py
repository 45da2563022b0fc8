"""What is told of one request: written while it is served, read once when it has ended.

Whatever serves a request may add to its record without having the request at hand: `current` is it,
also in the threads that work for it. Nothing of a body or of a secret belongs here.
"""

from __future__ import annotations

import re
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# What access logs of other servers call an answer that nobody waited for.
CLIENT_LEFT = 499


@dataclass(slots=True)
class Record:
    """One request.

    Args:
        request_id: the client's, or one made here.
        method: its method, or OTHER: anyone may invent one.
        client: the address that it came from.
        carrier: the headers that carry a trace, by name.
        trace_id: the trace that it belongs to, if any.
        begun: when, in seconds of `time.perf_counter`.
        stages: seconds by stage.
        starts: when each stage began, where that is known.
        status: what was answered; 0 as long as nothing was.
        left: whether the client went away.
        code: of the problem that was the answer.
        net_id: the net that it was about.
        owner: who asked, as far as that was told.
        key: the id of the key that proved it; no secret.
        span: what traces need to end it.
        bytes_in: of its body, as far as it was read.
        bytes_out: of the answer's body.
        total: seconds until the answer was sent, once it was.
    """

    request_id: str
    method: str
    client: str
    carrier: dict[str, str]
    trace_id: str | None
    begun: float = field(default_factory=time.perf_counter)
    stages: dict[str, float] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)
    status: int = 0
    left: bool = False
    code: str | None = None
    net_id: str | None = None
    owner: str | None = None
    key: str | None = None
    span: Any = None
    bytes_in: int = 0
    bytes_out: int = 0
    total: float = 0.0

    def end(self) -> None:
        """The request has been served, or was given up."""
        self.total = time.perf_counter() - self.begun
        if not self.status:
            self.status = CLIENT_LEFT if self.left else 500


current: ContextVar[Record | None] = ContextVar("portgrad_record", default=None)


def note_net(net_id: str) -> None:
    """The request that is being served is about this net."""
    record = current.get()
    if record is not None:
        record.net_id = net_id


def note_problem(code: str) -> None:
    """The answer to the request that is being served is a problem with this code."""
    record = current.get()
    if record is not None:
        record.code = code


def new_id() -> str:
    """An id for a request whose client gave it none."""
    return secrets.token_hex(16)


def begin(scope: Scope) -> Record:
    """The record of a request, from what its headers tell."""
    request_id = trace_id = None
    carrier = {}
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            request_id = str(value, "ascii")
        elif name == b"traceparent" and (match := _TRACEPARENT.fullmatch(value)):
            trace_id = str(match[1], "ascii")
            carrier["traceparent"] = str(value, "latin-1")
        elif name == b"tracestate":
            carrier["tracestate"] = str(value, "latin-1")
    method = scope["method"]
    client = scope.get("client")
    return Record(
        request_id or new_id(),
        method if method in _METHODS else "OTHER",
        client[0] if client else "",
        carrier,
        trace_id,
    )


def route_of(scope: Scope) -> str:
    """The template of the route that served: a path is anybody's, a template is ours."""
    path: Any = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unmatched"
