"""Memory of this process alone for bytes that are about to come, in large pages where it is large.

New pages of 4 KiB cost more than it takes to fill them: 1.5 ms for 4 MB, and 0.2 ms of 2 MiB.
"""

from __future__ import annotations

import mmap
from contextlib import suppress

import numpy as np

# Vectors of operators want aligned data; a cache line suits them all.
ALIGNMENT = 64
_HUGE = 2 * 1024 * 1024


def padding(size: int) -> int:
    """The bytes that lead from an offset to the next aligned one."""
    return -size % ALIGNMENT


def room(size: int) -> memoryview:
    """So many bytes at an aligned address, which hold anything until they are filled.

    Raises:
        MemoryError: there are not so many.
    """
    if size >= _HUGE:
        return _in_large_pages(size)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].data


def _in_large_pages(size: int) -> memoryview:
    try:
        memory = mmap.mmap(-1, size + -size % _HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)[:size]


class Room:
    """Bytes that come piece by piece, of a size that is known before.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        """Raises MemoryError: there is no room."""
        self._memory = room(size)
        self._empty = self._memory

    @property
    def empty(self) -> memoryview:
        """Where the next ones go."""
        return self._empty

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Its next bytes."""
        self._empty[: len(piece)] = piece
        self.came(len(piece))

    def came(self, size: int) -> None:
        """So many were put where it was empty."""
        self._empty = self._empty[size:]

    def data(self) -> memoryview:
        """All of them, once they have come."""
        return self._memory.toreadonly()
