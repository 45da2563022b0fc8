"""Bodies as they arrive: counted while they stream, so that no limit is found out too late."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request

from portgrad.errors import LimitExceeded


async def stream(request: Request, limit: int, setting: str) -> AsyncIterator[bytes]:
    """The chunks of the body.

    Raises:
        LimitExceeded: as soon as the body is known to be longer than `limit` bytes.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit, setting, announced)
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > limit:
            raise _too_large(limit, setting, f"more than {limit}")
        if chunk:
            yield chunk


async def read(request: Request, limit: int, setting: str) -> bytes:
    """The whole body, of at most `limit` bytes."""
    return b"".join([chunk async for chunk in stream(request, limit, setting)])


def _too_large(limit: int, setting: str, found: str) -> LimitExceeded:
    return LimitExceeded(
        "The body is larger than this service takes.",
        code="body_too_large",
        where="body",
        expected=f"at most {limit} bytes",
        found=f"{found} bytes",
        remedy=f"Send less in one request, or raise PORTGRAD_{setting.upper()}.",
    )
