"""Frames as they arrive on a socket: see `frames`."""

from __future__ import annotations

import array
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from portgrad.compute import blocks, frames
from portgrad.compute.frames import Broken
from portgrad.compute.rooms import Room

# Room for what comes at once. For more, libc would map pages anew each time.
_AT_ONCE = 64 * 1024
# What follows is copied in 0.1 ms, which keeps an event loop no longer.
_MOST_AT_ONCE = 1024 * 1024
# So many descriptors may be on their way: a block, and the files of one message.
_MOST_DESCRIPTORS = 8
# Plain numbers, as an operation on the enumerations takes longer than the rest of the reading.
_BESIDE = socket.CMSG_LEN(_MOST_DESCRIPTORS * array.array("i").itemsize)
_NOTHING = memoryview(b"")
_CLOSED_IN_CHILDREN, _CUT_OFF = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC)


@dataclass(frozen=True)
class Received:
    """A frame that came. Whoever takes it closes its files.

    Attributes:
        number: of its job.
        message: what it says.
        files: descriptors of the files that it is about.
        unread: whether there was no memory for it, so that its message is None.
    """

    number: int
    message: Any
    files: tuple[int, ...] = ()
    unread: bool = False


class _Begun(NamedTuple):
    """A frame whose text has come; it may be at the end of the block."""

    number: int
    text: bytes | int
    size: int
    files: int


class Following:
    """A block on its way. Where there is no memory for it, it is read and dropped."""

    def __init__(self, size: int, room: Room | None) -> None:
        self._room = room
        self.missing = size

    def take(self, source: bytearray) -> None:
        """Take what is its own from the bytes that came with the head."""
        size = min(self.missing, len(source))
        if self._room is not None:
            self._room.write(source[:size])
        self.missing -= size
        del source[:size]

    def receive(self, source: socket.socket, flags: int) -> int:
        """Receive some of it; how much that was, 0 where the end has come."""
        if self._room is not None:
            came = source.recv_into(self._room.empty[:_MOST_AT_ONCE], 0, flags)
            self._room.came(came)
        else:
            came = len(source.recv(min(self.missing, _AT_ONCE), flags))
        self.missing -= came
        return came

    def data(self) -> memoryview | None:
        """All of it, once nothing is missing."""
        return None if self._room is None else self._room.data()


class Reader:
    """Puts frames together out of what a socket gives.

    Args:
        most: the most bytes of a text, above which the other side is not to be believed.
        files: the most files that come with a message.
        make_room: frees memory where there is none for a block; what has no room after that is
            unread. Without it, it is no frame.
    """

    def __init__(
        self, most: int = 1 << 31, files: int = 2, make_room: Callable[[], None] | None = None
    ) -> None:
        self._most = most
        self._most_files = files
        self._make_room = make_room
        self._bytes = bytearray()
        self._descriptors: list[int] = []
        self._begun: tuple[_Begun, Following] | None = None

    def feed(self, source: socket.socket, flags: int = 0) -> list[Received] | None:
        """The frames that are whole now; None where the end has come.

        Args:
            source: the socket.
            flags: of the call that receives.

        Raises:
            Broken: what came is no frame.
            OSError: the socket failed, or this process may open no more descriptors.
        """
        if not self._receive(source, flags):
            self.close()
            return None
        found = []
        while (frame := self._frame()) is not None:
            found.append(frame)
        if len(self._descriptors) > _MOST_DESCRIPTORS:
            raise Broken("descriptors that no message is about")
        return found

    def _receive(self, source: socket.socket, flags: int) -> bool:
        """Take what has come; whether that is not the end."""
        if self._begun is not None:
            return bool(self._begun[1].receive(source, flags))
        flags |= _CLOSED_IN_CHILDREN
        received, beside, told, _ = source.recvmsg(_AT_ONCE, _BESIDE, flags)
        if beside or told & _CUT_OFF:
            self._take_descriptors(beside, bool(told & _CUT_OFF))
        self._bytes += received
        return bool(received)

    def _take_descriptors(self, beside: list[tuple[int, int, bytes]], cut_off: bool) -> None:
        came = array.array("i")
        for _, _, data in beside:
            came.frombytes(data[: len(data) - len(data) % came.itemsize])
        self._descriptors += came
        if cut_off and len(came) < _MOST_DESCRIPTORS:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def close(self) -> None:
        """Let go of what came and was not read."""
        self._begun = None
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _frame(self) -> Received | None:
        if self._begun is None:
            if len(self._bytes) < frames.HEAD.size:
                return None
            head = self._head()
            if head is None:
                return None
            if not head.size & frames.FOLLOWS:
                return self._whole(head, self._block(head.size) if head.size else _NOTHING)
            size = head.size & ~frames.FOLLOWS
            self._begun = head._replace(size=size), Following(size, self._room(size))
        head, block = self._begun
        block.take(self._bytes)
        if block.missing:
            return None
        self._begun = None
        return self._whole(head, block.data())

    def _head(self) -> _Begun | None:
        """The head and the text of a frame, once they are here."""
        number, length, size, files = frames.HEAD.unpack_from(self._bytes)
        block = size & ~frames.FOLLOWS
        in_block, length = bool(length & frames.IN_BLOCK), length & ~frames.IN_BLOCK
        end = frames.HEAD.size + (0 if in_block else length)
        if length > (min(self._most, block) if in_block else frames.MOST_TEXT):
            raise Broken(f"a text of {length} bytes")
        if files > self._most_files:
            raise Broken(f"a message with {files} files")
        if block != size and not 0 < block <= frames.MOST_FOLLOWING:
            raise Broken(f"a block of {block} bytes that follows")
        if len(self._bytes) < end:
            return None
        text = length if in_block else bytes(self._bytes[frames.HEAD.size : end])
        del self._bytes[:end]
        return _Begun(number, text, size, files)

    def _whole(self, head: _Begun, block: memoryview | None) -> Received:
        if head.files > len(self._descriptors):
            raise Broken("files without descriptors")
        files = tuple(self._descriptors.pop(0) for _ in range(head.files)) if head.files else ()
        if block is None:
            return Received(head.number, None, files, unread=True)
        text = block[len(block) - head.text :] if isinstance(head.text, int) else head.text
        return Received(head.number, frames.unpack(text, block), files)

    def _room(self, size: int) -> Room | None:
        try:
            return Room(size)
        except MemoryError as error:
            if self._make_room is None:
                raise Broken("a block that there is no memory for") from error
        self._make_room()
        try:
            return Room(size)
        except MemoryError:
            return None

    def _block(self, size: int) -> memoryview | None:
        if not self._descriptors:
            raise Broken("a block without a descriptor")
        descriptor = self._descriptors.pop(0)
        try:
            return self._mapped(descriptor, size)
        except (blocks.Unsealed, OSError, ValueError) as error:
            raise Broken(str(error)) from error
        finally:
            os.close(descriptor)

    def _mapped(self, descriptor: int, size: int) -> memoryview | None:
        try:
            return blocks.mapped(descriptor, size)
        except OSError as error:
            if error.errno != errno.ENOMEM or self._make_room is None:
                raise
        self._make_room()
        try:
            return blocks.mapped(descriptor, size)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            return None
