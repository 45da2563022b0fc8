"""Problems of connections, which come before there is a request for the application."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from starlette.types import Receive, Scope, Send

from portgrad.api.problems import Problem
from portgrad.api.telling.record import new_id
from portgrad.errors import PortgradError

Headers = Sequence[tuple[bytes, bytes]]


def problem(error: PortgradError) -> Problem:
    """The answer, after which the connection ends."""
    request_id = new_id()
    answer = Problem(error, request_id)
    answer.headers["x-request-id"] = request_id
    answer.headers["connection"] = "close"
    return answer


def as_bytes(error: PortgradError, headers: Headers) -> bytes:
    """The whole answer, as it goes over the wire."""
    answer = problem(error)
    status = HTTPStatus(answer.status_code)
    lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
    lines += [name + b": " + value for name, value in (*headers, *answer.raw_headers)]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


class Refusal:
    """An application that answers one problem."""

    def __init__(self, error: PortgradError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await problem(self._error)(scope, receive, send)
