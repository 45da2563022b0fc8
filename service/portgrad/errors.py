"""Every error that Portgrad raises on purpose. What HTTP makes of them is decided in `api`.

PortgradError
├── InvalidNet           the uploaded bytes are no net that can be served
├── InvalidRequest       the request does not fit the net
│   ├── Malformed        its body cannot be read as what it says that it is
│   └── NotBuilt         it asks for something that is designed but not built yet
├── Unsupported          an operator on a path that the request needs has no derivative here
├── NotFound             no such net, name or file
├── Conflict             a name is taken by other bytes
├── LimitExceeded        larger or longer than this service allows
├── RunFailed            the runtime failed on these data
├── DeadlineExceeded     it took longer than it may
├── Quarantined          the net has crashed too many workers
├── Unauthenticated      nobody knows who asks
├── Forbidden            who asks may not
├── Wait                 not now: `retry_after` says when
│   ├── TooManyRequests  this caller asks too often, or too much at once
│   └── Busy             the service has all that it can take, or is about to stop
└── StoreFailed          the nets' disk is full, out of reach or damaged

`code` is stable and machine-readable; the other fields are sentences for people.
"""

from __future__ import annotations

from typing import ClassVar


class PortgradError(Exception):
    """Base of all errors. `code` names the case, stable across releases.

    Args:
        detail: what is wrong, in one sentence.
        code: the case; each subclass has a default.
        where: the offending port, parameter, node or field.
        expected: what would have been right.
        found: what came instead.
        remedy: what to do next.
    """

    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.where = where
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.detail]
        parts += [f"Where: {self.where}."] if self.where else []
        parts += [f"Expected: {self.expected}."] if self.expected else []
        parts += [f"Found: {self.found}."] if self.found else []
        parts += [self.remedy] if self.remedy else []
        return " ".join(parts)

    def fields(self) -> dict[str, str]:
        """The error as plain data, without the fields that were left out."""
        named = {
            "code": self.code,
            "detail": self.detail,
            "where": self.where,
            "expected": self.expected,
            "found": self.found,
            "remedy": self.remedy,
        }
        return {key: value for key, value in named.items() if value is not None}


class InvalidNet(PortgradError):
    """The uploaded bytes are no net that can be served."""

    default_code = "invalid_net"


class InvalidRequest(PortgradError):
    """The request does not fit the net, or is malformed."""

    default_code = "invalid_request"


class Malformed(InvalidRequest):
    """The body cannot be read as what its Content-Type says."""

    default_code = "malformed_body"


class NotBuilt(InvalidRequest):
    """The request asks for something that is designed but not built yet."""

    default_code = "not_built"


class Unsupported(PortgradError):
    """An operator on a path that the request needs has no derivative here."""

    default_code = "unsupported_operator"


class NotFound(PortgradError):
    """No such net, name or file."""

    default_code = "not_found"


class Conflict(PortgradError):
    """The name is taken by other bytes."""

    default_code = "name_taken"


class LimitExceeded(PortgradError):
    """Larger or longer than this service allows."""

    default_code = "limit_exceeded"


class RunFailed(PortgradError):
    """The runtime failed on these data."""

    default_code = "run_failed"


OUT_OF_MEMORY = "out_of_memory"


def out_of_memory(where: str | None = None, found: str | None = None) -> RunFailed:
    """The error for a call, or a net, that more memory is needed for than there is."""
    return RunFailed(
        "There is not enough memory for this call.",
        code=OUT_OF_MEMORY,
        where=where,
        found=found,
        remedy="Send fewer examples at once, ask for fewer targets, or run a service whose "
        "PORTGRAD_WORKER_MEMORY_BYTES is higher.",
    )


class DeadlineExceeded(PortgradError):
    """It took longer than it may."""

    default_code = "deadline_exceeded"


class Quarantined(PortgradError):
    """The net has crashed too many workers to be run again."""

    default_code = "net_quarantined"


class Unauthenticated(PortgradError):
    """Nobody knows who asks."""

    default_code = "not_authenticated"


class Forbidden(PortgradError):
    """Who asks may not do this."""

    default_code = "missing_scope"


class Wait(PortgradError):
    """Not now. The same request may well succeed later.

    Args:
        detail: what is wrong, in one sentence.
        retry_after: seconds after which it is worth another try.
        fields: as for every error.
    """

    def __init__(self, detail: str, *, retry_after: int = 1, **fields: str | None) -> None:
        super().__init__(detail, **fields)
        self.retry_after = retry_after


class TooManyRequests(Wait):
    """This caller asks too often, or for too much at once."""

    default_code = "rate_limited"


class Busy(Wait):
    """The service has all that it can take, or is about to stop."""

    default_code = "busy"


class StoreFailed(PortgradError):
    """The nets' disk is full, out of reach or damaged."""

    default_code = "store_unavailable"
