"""Bodies as they arrive: counted and timed while they stream, so no limit is found out too late.

A body may keep us waiting for `body_seconds`. Each byte that comes gives back the time that one may
take (`body_bytes_per_second`), but never more than all of it: nobody saves up time by sending fast.
How long we take to make use of a chunk does not count.
"""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from portgrad.api.admission import Held
from portgrad.api.auth import caller_of
from portgrad.api.patience import Patience
from portgrad.api.problems import SlowBody
from portgrad.api.service import service_of
from portgrad.errors import LimitExceeded

_DIGITS = 20  # more than any size has


async def stream(request: Request, limit: int, setting: str) -> AsyncIterator[bytes]:
    """The chunks of the body.

    Raises:
        LimitExceeded: as soon as the body is known to be longer than `limit` bytes.
        SlowBody: as soon as it has taken longer than it may.
    """
    _announced(request, limit, setting)
    async for chunk in _chunks(request, limit, setting):
        yield chunk


async def _chunks(request: Request, limit: int, setting: str) -> AsyncIterator[bytes]:
    service = service_of(request)
    settings = service.settings
    grace, rate = settings.body_seconds, settings.body_bytes_per_second
    seen, left, more = 0, grace, True
    while more:
        start = time.monotonic()
        message = await _next(request, service.patience, left)
        chunk: bytes = message.get("body", b"")
        left = min(grace, left - (time.monotonic() - start) + len(chunk) / rate)
        more = message.get("more_body", False)
        seen += len(chunk)
        if seen > limit:
            raise _too_large(limit, setting, f"more than {limit}")
        if chunk:
            yield chunk


async def _next(request: Request, patience: Patience, seconds: float) -> Message:
    try:
        message = await patience.wait(request.receive(), seconds)
    except TimeoutError:
        raise _too_slow() from None
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message


async def read(request: Request, limit: int, setting: str) -> bytes:
    """The whole body, of at most `limit` bytes, which count as held until the request ends.

    Raises:
        LimitExceeded, SlowBody: as `stream` does.
        Busy: other requests hold too much; before anything is read where the length is known.
    """
    held: Held = request.state.held
    held.owner = caller_of(request).owner
    held.grow(_announced(request, limit, setting))
    body = io.BytesIO()  # grows in place: joined chunks would be there twice for a moment
    async for chunk in _chunks(request, limit, setting):
        held.reach(body.tell() + len(chunk))
        body.write(chunk)
    return body.getvalue()


def _announced(request: Request, limit: int, setting: str) -> int:
    """How long the body is said to be, 0 where that is not said; refused where it is too long."""
    length = request.headers.get("content-length", "")
    if len(length) > _DIGITS:  # Python does not read a number of any length
        raise _too_large(limit, setting, "a number of more digits than any body has")
    announced = int(length) if length.isdecimal() else 0
    if announced > limit:
        raise _too_large(limit, setting, length)
    return announced


def _too_slow() -> SlowBody:
    return SlowBody(
        "The body did not arrive in time.",
        where="body",
        expected="that it comes without a break, at PORTGRAD_BODY_BYTES_PER_SECOND or faster",
        remedy="Send the request again, over a faster connection or with less in it.",
    )


def _too_large(limit: int, setting: str, found: str) -> LimitExceeded:
    return LimitExceeded(
        "The body is larger than this service takes.",
        code="body_too_large",
        where="body",
        expected=f"at most {limit} bytes",
        found=f"{found} bytes",
        remedy=f"Send less in one request, or raise PORTGRAD_{setting.upper()}.",
    )
