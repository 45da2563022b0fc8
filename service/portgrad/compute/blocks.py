"""Blocks of shared memory: written once, sealed, and read by both sides without a copy.

A block is a file without a name (`memfd_create`). Its seals hold for everybody who has it: nobody
can change or cut short what another one is reading, so no side has to trust the other.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Sequence

Buffer = bytes | memoryview

# Vectors of operators want aligned data; a cache line suits them all.
ALIGNMENT = 64
_MOST_VECTORS = 1000  # Linux takes 1024
# A larger block is mapped page by page as it is read: who maps it may be an event loop.
_MOST_AT_ONCE = 16 * 1024 * 1024
_SECTOR = 512  # what `st_blocks` counts


class Unsealed(Exception):
    """A descriptor that came is no sealed block of the size that was told."""


def _seals() -> int:
    """Linux alone has them; the command line, which does without, is to load elsewhere too."""
    return fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def padding(size: int) -> int:
    """The bytes that lead from an offset to the next aligned one."""
    return -size % ALIGNMENT


def sealed(pieces: Sequence[Buffer]) -> int:
    """The descriptor of a new block that holds these bytes, one after the other.

    Raises:
        OSError: there is no memory for it.
    """
    descriptor = os.memfd_create("portgrad", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for start in range(0, len(pieces), _MOST_VECTORS):
            _write(descriptor, [memoryview(p) for p in pieces[start : start + _MOST_VECTORS]])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _seals())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write(descriptor: int, pieces: list[memoryview]) -> None:
    """Write all, though one call may take but a part (at most 2 GiB)."""
    while pieces:
        written = os.writev(descriptor, pieces)
        while pieces and written >= len(pieces[0]):
            written -= len(pieces.pop(0))
        if pieces:
            pieces[0] = pieces[0][written:]


def mapped(descriptor: int, size: int) -> memoryview:
    """The bytes of a block, not copied; they stay as long as anybody holds a part of them.

    The descriptor may be closed afterwards.

    Raises:
        Unsealed: these bytes could change, or are fewer, or none.
    """
    found = os.fstat(descriptor)
    if not size or found.st_size != size:
        raise Unsealed(f"a block of {size} bytes has another size")
    if found.st_blocks * _SECTOR < size:  # to read it would take memory that nobody has paid for
        raise Unsealed(f"a block of {size} bytes has holes")
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError as error:
        raise Unsealed("a descriptor is no block") from error
    if seals & _seals() != _seals():
        raise Unsealed("a block is not sealed")
    flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if size <= _MOST_AT_ONCE else 0)
    return memoryview(mmap.mmap(descriptor, size, flags=flags, prot=mmap.PROT_READ))
