"""A function in a process of its own: nothing that ran before is in its memory or its threads."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
PR_SET_PDEATHSIG = 1  # of sys/prctl.h


def apart(function: Callable[..., T], *arguments: object, **environment: str) -> T:
    """What it returns. The environment is set before anything is imported there."""
    fresh = multiprocessing.get_context("spawn")
    with _set(environment), ProcessPoolExecutor(1, fresh, _end_with_parent) as pool:
        return pool.submit(function, *arguments).result()


def _end_with_parent() -> None:
    """A process that is killed leaves no other behind, which would wait for it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class _set:  # noqa: N801
    """These variables, for processes that are started within."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._new = environment
        self._old = {name: os.environ.get(name) for name in environment}

    def __enter__(self) -> None:
        os.environ.update(self._new)

    def __exit__(self, *_: object) -> None:
        for name, value in self._old.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
