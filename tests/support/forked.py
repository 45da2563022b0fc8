"""Work in a forked child, for what a process cannot take back."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SECONDS = 60


def in_child(work: Callable[[], T]) -> T:
    """What the work gives in a child of its own; AssertionError with its traceback if it raises."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns of threads that do not come along: those of the runtime, which are idle.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        _work_and_exit(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    assert answer, f"the child ended with status {os.waitstatus_to_exitcode(status)}"
    failed, result = pickle.loads(answer)
    assert not failed, result
    return result  # type: ignore[no-any-return]


def _work_and_exit(work: Callable[[], object], writing: int) -> None:
    signal.alarm(SECONDS)
    # A session that the parent had left would wait here for its threads, which did not come along.
    gc.freeze()
    _be_alone()
    try:
        answer = (False, work())
    except BaseException:
        answer = (True, traceback.format_exc())
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(pickle.dumps(answer))
    os._exit(0)


def _be_alone() -> None:
    """Wait for threads that a library starts in every child, such as OpenTelemetry's, which ends
    at once where it was shut down in the parent.
    """
    until = time.monotonic() + 1
    while len(list(Path("/proc/self/task").iterdir())) > 1 and time.monotonic() < until:
        time.sleep(0.001)
