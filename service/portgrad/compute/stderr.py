"""What a worker writes to stderr, as lines of the service's log under the worker's name.

The runtime writes there, and so does whatever crashes. A net can make it write without end, and can
choose some of the words: so lines are cut, bare of control characters, and few in a time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import BinaryIO

log = logging.getLogger("portgrad.worker")

LONGEST = 2000
# So many lines in so many seconds; what is more is counted.
_LINES, _SECONDS = 50, 10.0
_READ = 1 << 16
_MOST_LEFT = 16  # readings at the end; a pipe holds one


class Lines:
    """Cuts what is read into lines, and logs them.

    Args:
        worker: its name.
        clock: seconds.
    """

    def __init__(self, worker: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._worker = worker
        self._clock = clock
        self._rest = b""
        self._since = clock()
        self._told = 0
        self._untold = 0

    def feed(self, data: bytes) -> None:
        """Some bytes, as they came."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._tell(line)
        if len(self._rest) > LONGEST:
            self._tell(self._rest)
            self._rest = b""

    def end(self) -> None:
        """Nothing more will come."""
        if self._rest:
            self._tell(self._rest)
        self._rest = b""
        self._tell_untold()

    def _tell(self, line: bytes) -> None:
        if self._clock() - self._since >= _SECONDS:
            self._tell_untold()
            self._since, self._told = self._clock(), 0
        if self._told >= _LINES:
            self._untold += 1
        elif text := _plain(line):
            self._told += 1
            self._log(text)

    def _tell_untold(self) -> None:
        if self._untold:
            self._log(f"{self._untold} more lines were left out")
        self._untold = 0

    def _log(self, text: str) -> None:
        log.warning("%s: %s", self._worker, text, extra={"worker": self._worker})


def listen(worker: str) -> tuple[Listener, BinaryIO]:
    """What reads a worker's stderr, and what is to be that."""
    said, stderr = os.pipe()
    return Listener(worker, said), os.fdopen(stderr, "wb", buffering=0)


class Listener:
    """Reads a pipe to the log on the running event loop, until nobody can write to it any more.

    Args:
        worker: the name of the worker that has the other end as its stderr.
        descriptor: the end to read from, which this closes.
    """

    def __init__(self, worker: str, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor: int | None = descriptor
        self._lines = Lines(worker)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Read what is left, and stop. May be called again."""
        for _ in range(_MOST_LEFT):  # whoever writes may be alive, and go on
            if not self._read():
                break
        if self._descriptor is not None:
            self._stop(self._descriptor)

    def _read(self) -> bool:
        """Whether anything was read."""
        if self._descriptor is None:
            return False
        try:
            data = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return False
        self._lines.feed(data)
        if not data:
            self._stop(self._descriptor)
        return bool(data)

    def _stop(self, descriptor: int) -> None:
        self._descriptor = None
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        self._lines.end()


def _plain(line: bytes) -> str:
    text = line[:LONGEST].decode("utf-8", "replace").rstrip()
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
