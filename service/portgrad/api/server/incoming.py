"""Bodies of known length, read past the parser and past the application.

On its way through a parser a body is copied four times, and each piece of it wakes the application.
Here the pieces go from the kernel to where they stay, through one buffer. It lasts as long as one
body does: the connection's own protocol reads what came before and what comes after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol as Shape

from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

# The extension of ASGI's scope, which gives a body at once, or past the parser: see `cycle.Cycle`.
EXTENSION = "portgrad.incoming"
Taken = Callable[[memoryview], None]

# One for all bodies: what is in it is taken at once. It fits the processor's cache, and the event
# loop fills it some dozens of times before it turns to anything else.
_BUFFER = memoryview(bytearray(128 * 1024))


class Connection(Shape):
    """A connection, as far as it needs to be known here."""

    def divert(self, to: asyncio.BufferedProtocol) -> None:
        """Let another protocol read from now on."""

    def resume(self, *, whole: bool) -> None:
        """Read again, after the end of a body that is whole, or to the end of one that is not."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""


class Incoming(asyncio.BufferedProtocol):
    """One body on its way, which is read while the context lasts.

    Args:
        connection: where it comes from.
        cycle: the request that it belongs to.
        size: how long it is.
        take: called with each piece.

    Attributes:
        missing: how many bytes are still to come.
    """

    def __init__(
        self, connection: Connection, cycle: RequestResponseCycle, size: int, take: Taken
    ) -> None:
        self._connection = connection
        self._cycle = cycle
        self._take = take
        self._diverts = False
        self._error: OSError | None = None
        self.missing = size

    def __enter__(self) -> Incoming:
        cycle = self._cycle
        if cycle.waiting_for_100_continue:
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        first, cycle.body = cycle.body, bytearray()
        self._came(memoryview(first))
        cycle.message_event.clear()
        if self.missing and not cycle.disconnected:
            self._diverts = True
            self._connection.divert(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    async def whole(self) -> None:
        """Wait until all of it was taken.

        Raises:
            ClientDisconnect: it will not come.
            OSError: it could not be taken.
        """
        while self.missing and self._error is None:
            if self._cycle.disconnected:
                raise ClientDisconnect
            await self._cycle.message_event.wait()
            self._cycle.message_event.clear()
        if self._error is not None:
            raise self._error

    def _came(self, piece: memoryview) -> None:
        try:
            self._take(piece)
        except OSError as error:
            self._error = error
            self._cycle.message_event.set()
        self.missing -= len(piece)

    def _end(self) -> None:
        if self._diverts:
            self._diverts = False
            self._connection.resume(whole=not self.missing)
            if not self.missing:
                self._cycle.more_body = False
                self._cycle.message_event.set()

    # What the event loop calls

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return _BUFFER[: self.missing]

    def buffer_updated(self, nbytes: int) -> None:
        """So many have come."""
        self._came(_BUFFER[:nbytes])
        if not self.missing:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._connection.resume_writing()
