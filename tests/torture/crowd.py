"""The crowd of honest clients as the torture sees it: started, and asked what it saw when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Seen:
    """One call of an honest client: when it began, the seconds it took, and how it ended."""

    began: float
    seconds: float
    client: str
    call: str
    end: str
    about: str


@dataclass(frozen=True)
class Window:
    """What honest clients saw between two moments."""

    calls: list[Seen]

    @property
    def failed(self) -> list[Seen]:
        """What was not answered, or not rightly."""
        return [call for call in self.calls if call.end != "right"]

    def ends(self) -> str:
        """How those that failed ended, counted."""
        counts = Counter(call.end for call in self.failed)
        return ", ".join(f"{count} {end}" for end, count in counts.most_common())

    def percentile(self, percent: float) -> float:
        """Of the seconds that calls took; endless where there was none."""
        if not self.calls:
            return float("inf")
        return float(np.percentile([call.seconds for call in self.calls], percent))


class Crowd:
    """Honest clients in a process of their own.

    Args:
        url: the service.
        out: the file that they write.
        arguments: options of `torture.honest`.
    """

    def __init__(self, url: str, out: Path, **arguments: Any) -> None:
        options = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "torture.honest", url, "--out", str(out), *options]
        self._out = out
        paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            self.end()
            raise RuntimeError("the honest clients did not start")

    def between(self, start: float, end: float) -> Window:
        """The calls that were under way then, by `time.time()`."""
        return Window(
            [
                seen
                for seen in self._all()
                if seen.began <= end and seen.began + seen.seconds >= start
            ]
        )

    def during(self, seconds: float) -> Window:
        """The calls of the time from now on."""
        start = time.time()
        time.sleep(seconds)
        return self.between(start, time.time())

    def everything(self) -> Window:
        """All calls so far."""
        return Window(self._all())

    def end(self) -> None:
        """Let them finish."""
        try:
            self._process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _all(self) -> list[Seen]:
        lines = self._out.read_text().split("\n")[:-1]
        return [Seen(*json.loads(line)) for line in lines]


@contextmanager
def crowd(url: str, out: Path, **arguments: Any) -> Iterator[Crowd]:
    """Honest clients that ask all the while."""
    clients = Crowd(url, out, **arguments)
    try:
        yield clients
    finally:
        clients.end()
