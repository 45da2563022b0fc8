"""Bodies as they arrive: counted and timed while they stream, so no limit is found out too late.

A body may keep us waiting for `body_seconds`. Each byte that comes gives back the time that one may
take (`body_bytes_per_second`), but never more than all of it: nobody saves up time by sending fast.
How long we take to make use of a chunk does not count.
"""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, closing
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from portgrad.api.admission import Held
from portgrad.api.auth import caller_of
from portgrad.api.media import header
from portgrad.api.middleware import count_in
from portgrad.api.patience import Patience
from portgrad.api.problems import SlowBody
from portgrad.api.server.cycle import Cycle
from portgrad.api.server.incoming import EXTENSION, Taken
from portgrad.api.service import service_of
from portgrad.codecs.model import Buffer
from portgrad.compute import ends
from portgrad.compute.blocks import Block
from portgrad.compute.frames import MOST_FOLLOWING
from portgrad.compute.reading import SMALL
from portgrad.compute.rooms import Room
from portgrad.errors import LimitExceeded
from portgrad.settings import Settings

Made = TypeVar("Made", Room, Block)
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
    pace = _Pace(service.settings)
    seen, more = 0, True
    while more:
        pace.wait()
        message = await _next(request, service.patience, pace.left)
        chunk: bytes = message.get("body", b"")
        pace.came(len(chunk))
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


class _Pace:
    """How long a body may still keep us waiting.

    Attributes:
        left: seconds.
    """

    def __init__(self, settings: Settings) -> None:
        self._grace = self.left = settings.body_seconds
        self._rate = settings.body_bytes_per_second
        self.wait()

    def wait(self) -> None:
        """We wait from now on."""
        self._since = time.monotonic()

    def came(self, size: int) -> None:
        """So many bytes came; we wait for others."""
        since = self._since
        self.wait()
        self.left = min(self._grace, self.left - (self._since - since) + size / self._rate)


async def read(request: Request, limit: int, setting: str, stack: ExitStack) -> Buffer | Block:
    """The whole body, of at most `limit` bytes, which count as held until the request ends.

    One that is large, and whose length is known, is a block where the server can fill one; it is
    closed with the stack.

    Raises:
        LimitExceeded, SlowBody: as `stream` does.
        Busy: other requests hold too much; before anything is read where the length is known.
    """
    held: Held = request.scope["state"]["held"]
    held.owner = caller_of(request).owner
    announced = _announced(request, limit, setting)
    held.grow(announced)
    cycle: Cycle | None = request.scope.get("extensions", {}).get(EXTENSION)
    if cycle is not None:
        if announced > SMALL:
            return await _filled(request, cycle, announced, stack)
        whole = cycle.at_hand()
        if whole is not None:
            return _counted(request, whole, limit, setting)
    body = io.BytesIO()  # grows in place: joined chunks would be there twice for a moment
    async for chunk in _chunks(request, limit, setting):
        held.reach(body.tell() + len(chunk))
        body.write(chunk)
    return body.getvalue()


def _counted(request: Request, body: bytes, limit: int, setting: str) -> bytes:
    """A body that was at hand, whose length may not have been told."""
    if len(body) > limit:
        raise _too_large(limit, setting, f"more than {limit}")
    request.state.held.reach(len(body))
    count_in(request, len(body))
    return body


async def _filled(
    request: Request, cycle: Cycle, size: int, stack: ExitStack
) -> memoryview | Block:
    """A room or, for what does not go through a socket, a block that the server fills."""
    if size <= MOST_FOLLOWING:
        room = _made(Room, size)
        await _fill(request, cycle, size, room.write)
        return room.data()
    block = stack.enter_context(closing(_made(Block, size)))
    await _fill(request, cycle, size, block.write)
    block.seal()
    return block


def _made(make: Callable[[int], Made], size: int) -> Made:
    try:
        return make(size)
    except (OSError, MemoryError) as error:
        raise ends.no_memory() from error


async def _fill(request: Request, cycle: Cycle, size: int, write: Taken) -> None:
    """Have the server write the body somewhere."""
    service = service_of(request)
    pace = _Pace(service.settings)

    def take(piece: memoryview) -> None:
        write(piece)
        pace.came(len(piece))

    with cycle.incoming(size, take) as body:
        while body.missing:
            try:
                await service.patience.wait(body.whole(), pace.left)
            except TimeoutError:
                pace.came(0)
                if pace.left <= 0:
                    raise _too_slow() from None
            except OSError as error:
                raise ends.no_memory() from error
    count_in(request, size)


def _announced(request: Request, limit: int, setting: str) -> int:
    """How long the body is said to be, 0 where that is not said; refused where it is too long."""
    length = header(request, b"content-length") or ""
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
