"""No search for garbage while a net is read or compiled.

Both make hundreds of thousands of objects that stay, and among them hardly any garbage in cycles.
Python looks through all of them, and all that was imported, again and again: that took as long as
the rest of loading a net.
"""

from __future__ import annotations

import gc
import threading
from contextlib import AbstractContextManager


class Pause(AbstractContextManager[None]):
    """While somebody is inside, Python does not search; it goes on when the last has left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._resumes = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._resumes = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._resumes:
                gc.enable()


PAUSED = Pause()
