"""Memory for a body that is about to come."""

from __future__ import annotations

import mmap
from contextlib import suppress

_HUGE = 2 * 1024 * 1024
_HAS_HUGE = hasattr(mmap, "MADV_HUGEPAGE")


def room(size: int) -> memoryview:
    """So many bytes that can be written. What is large has pages of 2 MiB, where there are any:
    those of 4 KiB take longer to get than to fill.

    Raises:
        MemoryError: there are not so many.
    """
    if size < _HUGE or not _HAS_HUGE:
        return memoryview(bytearray(size))
    try:
        pages = mmap.mmap(-1, size + -size % _HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError from error
    with suppress(OSError):  # a kernel without them
        pages.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(pages)[:size]
