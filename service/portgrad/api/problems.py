"""Errors as RFC 9457 problems: which status each has, and the one shape they all share."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from portgrad.api.telling.record import new_id, note_problem
from portgrad.codecs.refusals import field_error
from portgrad.errors import (
    Busy,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidNet,
    InvalidRequest,
    LimitExceeded,
    Malformed,
    NotBuilt,
    NotFound,
    PortgradError,
    Quarantined,
    RunFailed,
    StoreFailed,
    TooManyRequests,
    Unauthenticated,
    Unsupported,
    Wait,
)

MEDIA_TYPE = "application/problem+json"


class SlowBody(InvalidRequest):
    """The body did not arrive as fast as it must."""

    default_code = "body_too_slow"


class SlowHead(InvalidRequest):
    """The request's headers did not arrive in time."""

    default_code = "headers_too_slow"


class HeadTooLarge(InvalidRequest):
    """The request line and headers are larger than they may be."""

    default_code = "head_too_large"


class UnsupportedMedia(InvalidRequest):
    """The body's Content-Type or Content-Encoding is not one that is read here."""

    default_code = "unsupported_content_type"


class NotAcceptable(InvalidRequest):
    """The answer cannot be written in any format that the client accepts."""

    default_code = "not_acceptable"


class MethodNotAllowed(InvalidRequest):
    """The path exists, but not with this method."""

    default_code = "method_not_allowed"

    def __init__(self, detail: str, *, allow: str) -> None:
        super().__init__(detail, expected=allow, remedy="Use one of the expected methods.")
        self.allow = allow


# Names are as long as nets and requests make them: a problem need not send a megabyte of them.
LONGEST = 2000

# The nearest class on an error's line of ancestors decides.
STATUS: dict[type[PortgradError], tuple[int, str]] = {
    Malformed: (400, "The body cannot be read"),
    Unauthenticated: (401, "The service does not know who asks"),
    Forbidden: (403, "Not allowed"),
    NotFound: (404, "There is no such thing here"),
    MethodNotAllowed: (405, "This path does not take that method"),
    NotAcceptable: (406, "No acceptable format for the answer"),
    SlowBody: (408, "The body did not arrive in time"),
    SlowHead: (408, "The headers did not arrive in time"),
    Conflict: (409, "The name is taken"),
    LimitExceeded: (413, "Larger or longer than this service allows"),
    UnsupportedMedia: (415, "This format is not read here"),
    InvalidNet: (422, "The net cannot be served"),
    NotBuilt: (422, "Designed, but not built yet"),
    InvalidRequest: (422, "The request does not fit"),
    Unsupported: (422, "An operator is not supported here"),
    RunFailed: (422, "The net failed on these data"),
    Quarantined: (422, "The net is quarantined"),
    TooManyRequests: (429, "Too many requests"),
    Wait: (503, "Not now"),
    HeadTooLarge: (431, "The request's head is too large"),
    Busy: (503, "The service is busy"),
    DeadlineExceeded: (504, "It took longer than it may"),
    StoreFailed: (503, "The store cannot be used"),
    PortgradError: (500, "The service failed"),
}


class Problem(Response):
    """An error as the answer of every route."""

    media_type = MEDIA_TYPE
    codes: ClassVar[str] = "urn:portgrad:problem:"

    def __init__(self, error: PortgradError, request_id: str) -> None:
        status, title = next(STATUS[c] for c in type(error).__mro__ if c in STATUS)
        body = {
            "type": self.codes + error.code,
            "title": title,
            "status": status,
            **{key: _cut(text) for key, text in error.fields().items()},
            "request_id": request_id,
        }
        super().__init__(orjson.dumps(body), status_code=status, headers=_headers(error))
        self.code = error.code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and have the code in the request's record."""
        note_problem(self.code)
        await super().__call__(scope, receive, send)


# What is left of these bodies need not be sent.
_UNREAD = {SlowBody.default_code, "body_too_large"}


def _headers(error: PortgradError) -> dict[str, str]:
    """What HTTP wants to be told beside a status."""
    if isinstance(error, MethodNotAllowed):
        return {"allow": error.allow}
    if isinstance(error, Unauthenticated):
        return {"www-authenticate": "Bearer"}
    if error.code in _UNREAD:
        return {"connection": "close"}
    return {"retry-after": str(error.retry_after)} if isinstance(error, Wait) else {}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def internal_error() -> PortgradError:
    """What a client is told of an error that nobody foresaw: nothing internal."""
    return PortgradError(
        "The service failed on this request.",
        remedy="Try again; if it fails again, report it with the request id.",
    )


def _from_http(error: HTTPException, request: Request, routes: Sequence[APIRoute]) -> PortgradError:
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allow = _methods(request.url.path, routes) or (error.headers or {})["Allow"]
        return MethodNotAllowed(f"{request.url.path} does not take {request.method}.", allow=allow)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFound(
            f"There is nothing at {request.url.path}.",
            code="no_such_route",
            remedy="GET /docs shows every path of this service.",
        )
    return Malformed(f"{error.detail}.", remedy="Correct the request and send it again.")


def _methods(path: str, routes: Sequence[APIRoute]) -> str:
    """All methods of a path: the router itself tells those of the first route alone."""
    fitting = [route for route in routes if route.path_regex.match(path)]
    return ", ".join(sorted({method for route in fitting for method in route.methods or ()}))


def _query_fields(request: Request) -> list[str]:
    """What may stand in the query of the route that refused this request."""
    models = [one.field_info.annotation for one in request.scope["route"].dependant.query_params]
    return [name for model in models for name in model.model_fields]


def install(app: FastAPI, routes: Sequence[APIRoute]) -> None:
    """Make every error that one of these routes raises a problem."""

    async def on_portgrad(request: Request, error: Exception) -> Response:
        assert isinstance(error, PortgradError)
        return Problem(error, request.state.request_id)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return Problem(_from_http(error, request, routes), request.state.request_id)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        problem = field_error(error.errors(), dict.fromkeys(_query_fields(request)))
        return Problem(problem, request.state.request_id)

    async def on_crash(request: Request, _: Exception) -> Response:
        """What went wrong outside of everything that answers; whoever serves us logs it."""
        request_id = getattr(request.state, "request_id", None) or new_id()
        answer = Problem(internal_error(), request_id)
        answer.headers["x-request-id"] = request_id
        return answer

    app.add_exception_handler(Exception, on_crash)
    app.add_exception_handler(PortgradError, on_portgrad)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
