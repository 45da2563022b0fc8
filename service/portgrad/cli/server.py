"""The server that `portgrad serve` runs: it says how to begin, and it ends without losing a call.

Asked to stop, by SIGTERM or SIGINT, it is not ready any more, and so says to whoever keeps a
connection. For `drain_seconds` it goes on listening, until balancers have noticed. Then it stops
listening, answers what it was asked, for as long as a call may take, and exits with the status 0.
Asked a second time it ends at once, with the status of a signal: workers die with it.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import uvicorn

log = logging.getLogger("portgrad.server")

# Beyond a call's deadline: its answer has to be written, too.
GRACE = 5.0
_OBJECTS = 20_000


class Server(uvicorn.Server):
    """One server of one application.

    Args:
        config: uvicorn's.
        drain_seconds: how long it goes on listening when it is asked to stop.
        deadline: seconds that a call may take.
        on_listening: told the address that it listens on.
        on_drain: told that it was asked to stop. Runs in a signal handler.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain_seconds: float,
        deadline: float,
        on_listening: Callable[[str], Awaitable[None]],
        on_drain: Callable[[], None],
    ) -> None:
        config.timeout_graceful_shutdown = math.ceil(deadline + GRACE)
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._on_listening = on_listening
        self._on_drain = on_drain
        self._asked: float | None = None
        self._told = False

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Listen."""
        _collect_seldom()
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            await self._on_listening(f"{host}:{port}")

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Asked to stop. uvicorn would die by the signal in the end; here all is well then."""
        if self._asked is not None:
            os._exit(128 + sig)  # the first process of a container cannot kill itself
        self._asked = time.monotonic()
        self._on_drain()
        self.should_exit = not self._drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether it is time to stop listening."""
        if self._asked is not None:
            if not self._told:
                self._told = True
                log.info("Asked to stop; listening for %g s more.", self._drain_seconds)
            if time.monotonic() - self._asked >= self._drain_seconds:
                self.should_exit = True
        return await super().on_tick(counter)


def _collect_seldom() -> None:
    """Have Python look for cycles after so many objects more, and not among those that stay.

    By itself it looks after 700. Some dozens of requests at once have thousands, none of which is
    in a cycle, and to look at them took a sixth of all that was done for them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS)
