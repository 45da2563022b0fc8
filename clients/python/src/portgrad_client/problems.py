"""Answers with an error status as exceptions: RFC 9457 problems, and what proxies send instead."""

from __future__ import annotations

import json
from typing import Any

import httpx

from portgrad_client.errors import (
    BadRequestError,
    ConflictError,
    DeadlineExceededError,
    ForbiddenError,
    InvalidNetError,
    NotBuiltError,
    NotFoundError,
    PortgradError,
    RateLimitedError,
    RunFailedError,
    ServerError,
    TooLargeError,
    UnauthenticatedError,
    UnprocessableError,
    UnsupportedOperatorError,
)

_BY_STATUS: dict[int, type[PortgradError]] = {
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    422: UnprocessableError,
    429: RateLimitedError,
}
_BY_CODE: dict[str, type[PortgradError]] = {
    error.default_code: error
    for error in (InvalidNetError, UnsupportedOperatorError, NotBuiltError, RunFailedError)
}
# No kernel is as much in the way as no rule, and so is no other way to say an operator.
_BY_CODE |= dict.fromkeys(("not_runnable", "not_standard"), UnsupportedOperatorError)
_BY_CODE |= dict.fromkeys(("deadline_exceeded", "compile_too_long"), DeadlineExceededError)
# What can be wrong with an upload besides the net itself.
_AROUND_THE_NET = frozenset(
    {"invalid_name", "invalid_field", "unknown_field", "missing_field", "missing_model"}
    | {"invalid_location"}
)
_FIELDS = ("code", "where", "expected", "found", "remedy")


def error_of(response: httpx.Response) -> PortgradError:
    """The exception that an answer with an error status stands for. Its body must be read."""
    status = response.status_code
    problem = _problem(response)
    given: dict[str, Any] = {name: str(problem[name]) for name in _FIELDS if problem.get(name)}
    request_id = problem.get("request_id") or response.headers.get("x-request-id")
    kind = _BY_CODE.get(given.get("code", "")) or _BY_STATUS.get(status) or _by_hundred(status)
    if kind is UnprocessableError and _is_upload(response.request):
        kind = kind if given.get("code") in _AROUND_THE_NET else InvalidNetError
    detail = str(problem.get("detail") or problem.get("title") or _unexplained(response))
    return kind(detail, status=status, request_id=request_id, **given)


def _is_upload(request: httpx.Request) -> bool:
    return request.method == "POST" and request.url.path.endswith("/nets")


def _by_hundred(status: int) -> type[PortgradError]:
    return ServerError if status >= 500 else BadRequestError


def _problem(response: httpx.Response) -> dict[str, Any]:
    """The fields of a problem, or none where the body is something else."""
    if "json" not in response.headers.get("content-type", ""):
        return {}
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _unexplained(response: httpx.Response) -> str:
    """A sentence for what no Portgrad sent."""
    said = " ".join(response.text.split())[:200]
    answer = f"{response.request.url.host} answered {response.status_code} {response.reason_phrase}"
    return f"{answer}, and not as Portgrad does: {said or 'an empty body'}."
