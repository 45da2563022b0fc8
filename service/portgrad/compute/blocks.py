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

MOST_VECTORS = 1000  # Linux takes 1024
# A larger block is mapped page by page as it is read: who maps it may be an event loop.
_MOST_AT_ONCE = 16 * 1024 * 1024
_SECTOR = 512  # what `st_blocks` counts


class Unsealed(Exception):
    """A descriptor that came is no sealed block of the size that was told."""


def _seals() -> int:
    """Linux alone has them; the command line, which does without, is to load elsewhere too."""
    return fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Block:
    """A block that is written piece by piece, of a size that is known before.

    This costs half of what it does to write where it is mapped, page by page.

    Attributes:
        descriptor: of the block; it is this one's to close.
    """

    def __init__(self, size: int) -> None:
        """Raises OSError: there is no memory for it, or no descriptor."""
        self.descriptor = _new()
        self._size = size
        self._read: memoryview | None = None

    def __len__(self) -> int:
        return self._size

    def write(self, piece: Buffer) -> None:
        """Its next bytes. Raises OSError: there is no memory for them."""
        _write(self.descriptor, [memoryview(piece)])

    def seal(self) -> None:
        """All bytes have come: nobody writes to it any more."""
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _seals())

    def data(self) -> memoryview:
        """Its bytes, once it is sealed."""
        if self._read is None:
            self._read = mapped(self.descriptor, self._size, at_once=False)
        return self._read

    def close(self) -> None:
        """Let go of it. What others have of it stays theirs. May be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _new() -> int:
    return os.memfd_create("portgrad", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def sealed(pieces: Sequence[Buffer]) -> int:
    """The descriptor of a new block that holds these bytes, one after the other.

    Raises:
        OSError: there is no memory for it.
    """
    descriptor = _new()
    try:
        for start in range(0, len(pieces), MOST_VECTORS):
            _write(descriptor, [memoryview(p) for p in pieces[start : start + MOST_VECTORS]])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _seals())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write(descriptor: int, pieces: list[memoryview]) -> None:
    """Write all, though one call may take but a part (at most 2 GiB)."""
    while pieces:
        pieces = after(pieces, os.writev(descriptor, pieces))


def after(pieces: list[memoryview], size: int) -> list[memoryview]:
    """What is left of pieces after so many of their bytes."""
    for place, piece in enumerate(pieces):
        if size < len(piece):
            return [piece[size:], *pieces[place + 1 :]]
        size -= len(piece)
    return []


def mapped(descriptor: int, size: int, *, at_once: bool = True) -> memoryview:
    """The bytes of a block, not copied; they stay as long as anybody holds a part of them.

    The descriptor may be closed afterwards. All pages are mapped `at_once` where they are not too
    many.

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
    at_once = at_once and size <= _MOST_AT_ONCE
    flags = mmap.MAP_SHARED | (mmap.MAP_POPULATE if at_once else 0)
    return memoryview(mmap.mmap(descriptor, size, flags=flags, prot=mmap.PROT_READ))
