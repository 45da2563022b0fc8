"""Waits that end: one timer for all, as one for each costs more than reading a small body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

Found = TypeVar("Found")


class Patience:
    """How long is waited, for anything, on one event loop.

    Args:
        tick: how late an end may come, in seconds.
    """

    def __init__(self, tick: float) -> None:
        self._tick = tick
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._watched = False

    async def wait(self, awaited: Awaitable[Found], seconds: float) -> Found:
        """What is awaited, in a task that waits for nothing else here.

        Raises:
            TimeoutError: it did not come in time.
        """
        task = asyncio.current_task()
        assert task is not None
        self._ends[task] = time.monotonic() + seconds
        if not self._watched:
            self._watch()
        try:
            return await awaited
        except asyncio.CancelledError:
            if task in self._late and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            del self._ends[task]
            self._late.discard(task)

    def _watch(self) -> None:
        self._watched = True
        asyncio.get_running_loop().call_later(self._tick, self._look)

    def _look(self) -> None:
        self._watched = False
        now = time.monotonic()
        for task, end in self._ends.items():
            if end <= now and task not in self._late:
                self._late.add(task)
                task.cancel()
        if self._ends:
            self._watch()
