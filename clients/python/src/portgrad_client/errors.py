"""Every error that the client raises on purpose.

PortgradError
├── InvalidRequestError            the request does not fit the net; without a status where the
│   │                              client saw it before sending
│   ├── BadRequestError            400 and any other 4xx without a class of its own
│   └── UnprocessableError         422
│       ├── InvalidNetError        the uploaded bytes are no net that can be served
│       ├── UnsupportedOperatorError   an operator on the path has no derivative there
│       ├── NotBuiltError          designed, but this service has not got it yet
│       └── RunFailedError         the runtime failed on these data
├── UnauthenticatedError           401
├── ForbiddenError                 403
├── NotFoundError                  404
├── ConflictError                  409
├── TooLargeError                  413
├── RateLimitedError               429
├── ServerError                    5xx
│   └── DeadlineExceededError      504: the call itself took too long
├── ConnectionFailedError          no answer came
│   └── TimedOutError              not within the timeout
├── InvalidAnswerError             an answer came that is not Portgrad's
└── DtypeUnavailableError          NumPy alone has no such dtype
"""

from __future__ import annotations

from typing import ClassVar


class PortgradError(Exception):
    """Base of all errors.

    Attributes:
        detail: what is wrong, in one sentence.
        code: the case, machine-readable and stable across releases.
        where: the offending port, parameter, node or field.
        expected: what would have been right.
        found: what came instead.
        remedy: what to do next.
        status: the HTTP status; None where no answer came, or nothing was sent.
        request_id: what the service's log calls the request.
    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        remedy: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.where = where
        self.expected = expected
        self.found = found
        self.remedy = remedy
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        parts = [self.detail]
        parts += [f"Where: {self.where}."] if self.where else []
        parts += [f"Expected: {self.expected}."] if self.expected else []
        parts += [f"Found: {self.found}."] if self.found else []
        parts += [self.remedy] if self.remedy else []
        told = [str(self.status)] if self.status else []
        told += [self.code]
        told += [f"request {self.request_id}"] if self.request_id else []
        return f"{' '.join(parts)} [{', '.join(told)}]"


class InvalidRequestError(PortgradError):
    """The request does not fit the net. `status` is None where nothing was sent."""

    default_code = "invalid_request"


class BadRequestError(InvalidRequestError):
    """The service could not read the request: 400, or a 4xx without a class of its own."""

    default_code = "bad_request"


class UnprocessableError(InvalidRequestError):
    """The service read the request, and it does not fit: 422."""

    default_code = "unprocessable"


class InvalidNetError(UnprocessableError):
    """The uploaded bytes are no net that can be served."""

    default_code = "invalid_net"


class UnsupportedOperatorError(UnprocessableError):
    """An operator on a path that the request needs has no derivative there."""

    default_code = "unsupported_operator"


class NotBuiltError(UnprocessableError):
    """The request asks for something that this service has not got yet."""

    default_code = "not_built"


class RunFailedError(UnprocessableError):
    """The runtime failed on these data."""

    default_code = "run_failed"


class UnauthenticatedError(PortgradError):
    """No key or token, or not a right one: 401."""

    default_code = "not_authenticated"


class ForbiddenError(PortgradError):
    """The key or token does not allow this: 403."""

    default_code = "missing_scope"


class NotFoundError(PortgradError):
    """No such net, name or file: 404."""

    default_code = "not_found"


class ConflictError(PortgradError):
    """The name belongs to another net: 409."""

    default_code = "name_taken"


class TooLargeError(PortgradError):
    """Larger or longer than the service allows: 413."""

    default_code = "limit_exceeded"


class RateLimitedError(PortgradError):
    """Too many requests: 429, still after the retries."""

    default_code = "rate_limited"


class ServerError(PortgradError):
    """The service, or a proxy before it, failed: 5xx, still after the retries."""

    default_code = "internal_error"


class DeadlineExceededError(ServerError):
    """The call took longer than it may: 504. It would again, so it is not sent again."""

    default_code = "deadline_exceeded"


class ConnectionFailedError(PortgradError):
    """No answer came, still after the retries."""

    default_code = "connection_failed"


class TimedOutError(ConnectionFailedError):
    """No answer came within the timeout."""

    default_code = "timed_out"


class InvalidAnswerError(PortgradError):
    """An answer came that is not Portgrad's."""

    default_code = "invalid_answer"


class DtypeUnavailableError(PortgradError):
    """The dtype needs ml_dtypes, which is not installed, or is none at all."""

    default_code = "dtype_unavailable"
