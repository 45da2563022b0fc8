"""Work that somebody waits for: it is cancelled where the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

# Most calls are answered before this, and to look costs more than many of them.
_SOON = 0.5


@contextmanager
def attended(request: Request) -> Iterator[None]:
    """Cancel what is awaited in the block once the client has left; its body is read by then.

    Raises:
        ClientDisconnect: it has left.
    """
    attendant = _Attendant(request)
    timer = asyncio.get_running_loop().call_later(_SOON, attendant.begin)
    try:
        yield
    except asyncio.CancelledError:
        if not attendant.left:
            raise
        attendant.task.uncancel()
        raise ClientDisconnect from None
    finally:
        timer.cancel()
        attendant.end()


class _Attendant:
    def __init__(self, request: Request) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.left = False
        self._request = request
        self._watch: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._until_it_leaves())

    def end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    async def _until_it_leaves(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self.task.cancel()
