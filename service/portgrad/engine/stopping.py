"""Ending a call from another thread: by the runtime's own termination, and between its steps.

The runtime looks at the flag between nodes; Python looks at it before each run and each session.
What looks at neither in time, a huge node or a long pass, takes a process that can be killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import onnxruntime as ort

from portgrad.errors import DeadlineExceeded

_current: ContextVar[Stop | None] = ContextVar("portgrad-stop", default=None)


class Stop:
    """What ends one call. The thread that works is in `running`; any other says `now`.

    Attributes:
        options: what the call's runs are given, so that they end when it says so.
        opening: the options of the session that is being opened, if any.
        stage: what the call is at: `open`, `compile` or `run`.
    """

    def __init__(self) -> None:
        self.options = ort.RunOptions()
        self.opening: ort.SessionOptions | None = None
        self.stage = "open"
        self._stopped = False

    def running(self) -> Running:
        """What runs meanwhile, on this thread, ends when somebody says `now`."""
        return Running(self)

    def now(self) -> None:
        """End the run that is under way, or the session that is opened, and begin no other."""
        self._stopped = True
        self.options.terminate = True
        if self.opening is not None:
            self.opening.set_load_cancellation_flag(True)

    def check(self) -> None:
        """Raise DeadlineExceeded where the call is to end."""
        if self._stopped:
            raise DeadlineExceeded("The call was stopped before it was done.")


class Running:
    """A context in which this thread works on a call."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def __enter__(self) -> None:
        self._token = _current.set(self.stop)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def options() -> ort.RunOptions | None:
    """What a run of this thread is to be given.

    Raises:
        DeadlineExceeded: the call is to end.
    """
    stop = _current.get()
    if stop is None:
        return None
    stop.check()
    return stop.options


def entering(stage: str) -> None:
    """Say what the call of this thread is at now.

    Raises:
        DeadlineExceeded: the call is to end.
    """
    stop = _current.get()
    if stop is not None:
        stop.check()
        stop.stage = stage


@contextmanager
def opening(options: ort.SessionOptions) -> Iterator[None]:
    """The session of these options, opened meanwhile, is given up where the call is to end."""
    stop = _current.get()
    if stop is None:
        yield
        return
    stop.check()
    stop.opening = options
    try:
        yield
    finally:
        stop.opening = None
