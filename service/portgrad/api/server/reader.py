"""How a client reads its answers: whoever does not read lets go of the connection."""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle

from portgrad.api.server.edge import Edge

# How long one that was answered may go on sending what nobody reads, at most.
_LINGER_SECONDS = 5.0


class Reader:
    """The other end of one connection.

    While there is more to read than the client has read at once, it must read on: what is left is
    looked at every `grace` seconds, and has to be less by `rate` times as many bytes.
    """

    __slots__ = ("_edge", "_left", "_loop", "_timer", "_transport")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, edge: Edge
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._edge = edge
        self._left = 0
        self._timer: TimerHandle | None = None

    def watch(self) -> None:
        """There is something to read, or to be read before a connection is closed."""
        if self._timer is None:
            self._left = self._transport.get_write_buffer_size()
            self._timer = self._loop.call_later(self._edge.grace, self._look)

    def linger(self) -> None:
        """The answer is the last: close when the client had time to stop sending."""
        self.stop()
        seconds = min(self._edge.head_seconds, _LINGER_SECONDS)
        self._timer = self._loop.call_later(seconds, self._part)

    def stop(self) -> None:
        """It has read all, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        left = self._transport.get_write_buffer_size()
        if self._left - left < self._edge.rate * self._edge.grace:
            self._transport.abort()
        else:
            self.watch()

    def _part(self) -> None:
        self._timer = None
        self._transport.close()
        self.watch()
