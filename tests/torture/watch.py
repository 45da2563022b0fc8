"""Workers that end while something else happens, counted from outside."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

from torture.service import Service


class Watch:
    """Looks four times a second which workers there are."""

    def __init__(self, service: Service) -> None:
        self._service, self._over = service, threading.Event()
        self._seen: set[int] = set()
        self._now: set[int] = set()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._note()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._note()

    @property
    def ended(self) -> int:
        """How many were there and are there no more."""
        return len(self._seen - self._now)

    def _look(self) -> None:
        while not self._over.wait(0.25):
            self._note()

    def _note(self) -> None:
        try:
            self._now = {worker.pid for worker in self._service.workers()}
        except psutil.NoSuchProcess:
            self._now = set()
        self._seen |= self._now
