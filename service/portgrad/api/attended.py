"""Work that somebody waits for: it is cancelled where the client leaves."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

# Most calls are answered before this, and to look costs more than many of them.
_SOON = 0.5


class Attended:
    """Cancels what is awaited in its block once the client has left; its body is read by then.

    The block ends with ClientDisconnect where that happens.
    """

    __slots__ = ("_left", "_request", "_task", "_timer", "_watch")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._left = False
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(_SOON, self._look)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if kind is asyncio.CancelledError and self._left:
            self._task.uncancel()
            raise ClientDisconnect from None

    def _look(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._until_it_leaves())

    async def _until_it_leaves(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._task.cancel()
