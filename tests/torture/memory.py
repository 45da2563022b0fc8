"""How much memory a service holds, and how many files, as the kernel tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True)
class Usage:
    """What is held: by the HTTP process, and by all others of the service together.

    Pages that several processes share are counted once, in shares (PSS): forked workers share most
    of theirs.
    """

    http: int
    others: int
    processes: int
    http_files: int
    other_files: int

    @property
    def all(self) -> int:
        """Bytes of the service."""
        return self.http + self.others

    def __str__(self) -> str:
        return (
            f"{self.all / MIB:.0f} MiB ({self.http / MIB:.0f} HTTP), "
            f"{self.http_files}+{self.other_files} files, {self.processes} processes"
        )


def usage(http: int, others: Iterable[int]) -> Usage:
    """What the processes of these ids hold; those that have just ended hold nothing."""
    rest = [(_pss(pid), _files(pid)) for pid in others]
    alive = [(memory, files) for memory, files in rest if memory]
    return Usage(
        http=_pss(http),
        others=sum(memory for memory, _ in alive),
        processes=1 + len(alive),
        http_files=_files(http),
        other_files=sum(files for _, files in alive),
    )


def settled(look: Callable[[], Usage], good: Callable[[Usage], bool], seconds: float) -> Usage:
    """What is held once it is good, or as it is when the time is over."""
    until = time.monotonic() + seconds
    while not good(found := look()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0
    )


def _files(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0
