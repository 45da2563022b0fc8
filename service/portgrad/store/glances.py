"""What can be looked up without a wait for a disk; a thread to wait in costs more than small calls.

What was looked up a moment ago on a file system of this machine, the kernel answers from memory. It
is asked each time all the same, as another process may have changed it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

# The kernel keeps what it was asked for much longer than this, unless memory is very short.
SECONDS = 1.0
_MOST = 4096
_MOUNTS = Path("/proc/self/mountinfo")
# These ask no other machine and no other process. An overlay is written to one of them.
_LOCAL = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "xfs", "zfs"}
)


class Glances:
    """What was looked up of late; any thread may use it.

    Args:
        folders: where it lies.
        clock: seconds.
    """

    def __init__(
        self, folders: Iterable[Path], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._local = all(map(is_local, folders))
        self._clock = clock
        self._until: dict[Hashable, float] = {}

    def note(self, what: Hashable) -> None:
        """It was looked up."""
        if self._local:
            if len(self._until) >= _MOST:
                self._until.clear()  # nearly all of it was long ago
            self._until[what] = self._clock() + SECONDS

    def quick(self, what: Hashable) -> bool:
        """Whether to look it up again asks memory alone."""
        return self._clock() < self._until.get(what, 0.0)


def is_local(folder: Path) -> bool:
    """Whether a folder is on a file system of this machine's own, as far as that can be told."""
    try:
        device = folder.stat().st_dev
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return _kinds(mounts, f"{os.major(device)}:{os.minor(device)}") in [{one} for one in _LOCAL]


def _kinds(mounts: Iterable[str], device: str) -> set[str]:
    """The kinds of file system that are mounted from a device."""
    described = (line.partition(" - ") for line in mounts)
    return {after.split()[0] for before, _, after in described if before.split()[2] == device}
