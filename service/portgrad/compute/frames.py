"""Messages between the HTTP process and a worker: plain data as msgpack, arrays by reference.

    head (32 bytes)   number of the job, length of the text, length of the block, files
    text              msgpack; small arrays stand in it
    block             what is large, in shared memory; its descriptor travels beside the head
    files             descriptors of files that the message is about, likewise

A text that is large itself lies at the end of the block. Nothing is ever unpickled: a worker runs
strangers' nets, and what it sends is read like any stranger's bytes.
"""

from __future__ import annotations

import array
import errno
import itertools
import math
import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import ml_dtypes
import msgspec
import numpy as np

from portgrad.compute import blocks

Array = np.ndarray[Any, Any]

_HEAD = struct.Struct("<QQQQ")
# The socket takes a frame at once; its buffer holds some 200 KiB.
_MOST_TEXT = 48 * 1024
# Room for what comes at once. For more, libc would map pages anew each time.
_AT_ONCE = 64 * 1024
_MOST_INLINE = 16 * 1024
_IN_BLOCK = 1 << 63  # in the length of the text: it lies in the block
# The largest text that a worker may send. What it says becomes objects of the HTTP process, which
# may take some dozens of times as much; arrays of numbers are not in it.
MOST_ANSWER = 64 * 1024 * 1024
# So many descriptors may be on their way: a block, and the files of one message.
# The HTTP process waits for so many to be read, which takes it 0.3 s.
_MOST_ARRAYS = 2**17
_MOST_DESCRIPTORS = 8
# Plain numbers, as an operation on the enumerations takes longer than the rest of the reading.
_BESIDE = socket.CMSG_LEN(_MOST_DESCRIPTORS * array.array("i").itemsize)
_CLOSED_IN_CHILDREN, _CUT_OFF = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC)
_ARRAY, _STRINGS = 1, 2
_DTYPES = {
    np.dtype(dtype).name: np.dtype(dtype)
    for dtype in (
        *(np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32),
        *(np.uint64, np.float16, np.float32, np.float64, np.complex64, np.complex128),
        *(getattr(ml_dtypes, name) for name in vars(ml_dtypes) if name in ml_dtypes.__all__),
    )
    if isinstance(dtype, type) and issubclass(dtype, np.generic)
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}  # NumPy works a name out each time


class Broken(Exception):
    """What came is no frame: the other side is not what it was."""


class TooLong(Exception):
    """A message has more text than the other side takes."""


class Pieces:
    """Bytes that follow one another; they arrive as bytes, or as one array where they are many."""

    def __init__(self, pieces: Sequence[blocks.Buffer | blocks.Block]) -> None:
        self.pieces = pieces

    def block(self) -> blocks.Block | None:
        """The sealed block that these are, if they are one."""
        first = self.pieces[0] if len(self.pieces) == 1 else None
        return first if isinstance(first, blocks.Block) else None

    def buffers(self) -> list[memoryview]:
        """Their bytes."""
        found = (p.data() if isinstance(p, blocks.Block) else p for p in self.pieces)
        return [memoryview(p).cast("B") for p in found]


@dataclass(frozen=True)
class Frame:
    """A message on its way out: its text, the block beside it, if any, and files.

    It may be sent several times; `release` gives the block's memory back.
    """

    text: bytes
    block: int | None = None
    size: int = 0
    in_block: bool = False
    files: tuple[int, ...] = ()

    def send(self, to: socket.socket, number: int) -> None:
        """Send it.

        Raises:
            OSError: the other side is gone, or does not read.
        """
        length = len(self.text) | (_IN_BLOCK if self.in_block else 0)
        head = _HEAD.pack(number, length, self.size, len(self.files))
        bytes_ = head if self.in_block else head + self.text
        beside = [*(() if self.block is None else (self.block,)), *self.files]
        sent = socket.send_fds(to, [bytes_], beside) if beside else to.send(bytes_)
        if sent < len(bytes_):
            to.sendall(memoryview(bytes_)[sent:])

    def release(self) -> None:
        """Give the block back. The other side keeps what it has of it."""
        if self.block is not None:
            os.close(self.block)
            object.__setattr__(self, "block", None)


def pack(message: Any, files: tuple[int, ...] = (), *, most: int | None = None) -> Frame:
    """A message of plain data and arrays as a frame, with the descriptors of files beside it.

    Raises:
        OSError: there is no memory for its block.
        OverflowError, TypeError, RecursionError: it holds something else.
        TooLong: its text has more than `most` bytes.
    """
    writer = _Writer()
    text = msgspec.msgpack.encode(message, enc_hook=writer.value)
    if writer.block is not None:
        if not writer.pieces and len(text) <= _MOST_TEXT:
            return Frame(text, os.dup(writer.block.descriptor), len(writer.block), files=files)
        writer = _Writer(as_they_are=False)  # there is more beside it
        text = msgspec.msgpack.encode(message, enc_hook=writer.value)
    if most is not None and len(text) > most:
        raise TooLong(f"{len(text)} bytes of text")
    if len(text) <= _MOST_TEXT:
        if not writer.pieces:
            return Frame(text, files=files)
        return Frame(text, blocks.sealed(writer.pieces), writer.size, files=files)
    # Arrays keep their offsets: the text comes after them.
    pieces = [*writer.pieces, text]
    block = blocks.sealed(pieces)
    return Frame(text, block, writer.size + len(text), in_block=True, files=files)


class _Writer:
    """Takes large arrays out of a message; the first sealed block is taken as it is."""

    def __init__(self, *, as_they_are: bool = True) -> None:
        self.pieces: list[blocks.Buffer] = []
        self.size = 0
        self.block: blocks.Block | None = None
        self._as_they_are = as_they_are

    def value(self, value: Any) -> msgspec.msgpack.Ext | bytes:
        """What stands in a text for what is no plain data."""
        if isinstance(value, Pieces):
            block = value.block()
            if block is not None and self._as_they_are and self.block is None:
                self.block = block
                return _told("uint8", (len(block),), 0)
            raw = value.buffers()
            size = sum(map(len, raw))
            return (
                b"".join(raw)
                if size <= _MOST_INLINE
                else _told("uint8", (size,), self._offset(raw, size))
            )
        if not isinstance(value, np.ndarray | np.generic):
            raise TypeError(f"{type(value).__name__} is no plain data")
        array = np.asarray(value)
        if array.dtype.kind in "OUT":
            texts = [str(text) for text in array.ravel()]
            return msgspec.msgpack.Ext(_STRINGS, msgspec.msgpack.encode((array.shape, texts)))
        name = _NAMES.get(array.dtype)
        if name is None:
            name = array.dtype.name
            if name not in _DTYPES:
                raise TypeError(f"arrays of {name} do not travel")
        native = np.asarray(array, _DTYPES[name], order="C")
        data = native.reshape(-1).view(np.uint8).data
        placed = bytes(data) if len(data) <= _MOST_INLINE else self._offset([data], len(data))
        return _told(name, native.shape, placed)

    def _offset(self, raw: list[memoryview], size: int) -> int:
        offset = self.size
        gap = blocks.padding(size)
        self.pieces += [*raw, bytes(gap)] if gap else raw
        self.size += size + gap
        return offset


def _told(name: str, shape: tuple[int, ...], placed: bytes | int) -> msgspec.msgpack.Ext:
    """An array, as it stands in a text."""
    return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode((name, shape, placed)))


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

    def feed(self, source: socket.socket, flags: int = 0) -> list[Received] | None:
        """The frames that are whole now; None where the end has come.

        Args:
            source: the socket.
            flags: of the call that receives.

        Raises:
            Broken: what came is no frame.
            OSError: the socket failed, or this process may open no more descriptors.
        """
        flags |= _CLOSED_IN_CHILDREN
        received, beside, told, _ = source.recvmsg(_AT_ONCE, _BESIDE, flags)
        if beside or told & _CUT_OFF:
            self._take_descriptors(beside, bool(told & _CUT_OFF))
        if not received:
            self.close()
            return None
        self._bytes += received
        found = []
        while len(self._bytes) >= _HEAD.size and (frame := self._frame()) is not None:
            found.append(frame)
        if len(self._descriptors) > _MOST_DESCRIPTORS:
            raise Broken("descriptors that no message is about")
        return found

    def _take_descriptors(self, beside: list[tuple[int, int, bytes]], cut_off: bool) -> None:
        came = array.array("i")
        for _, _, data in beside:
            came.frombytes(data[: len(data) - len(data) % came.itemsize])
        self._descriptors += came
        if cut_off and len(came) < _MOST_DESCRIPTORS:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def close(self) -> None:
        """Let go of what came and was not read."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _frame(self) -> Received | None:
        if len(self._bytes) < _HEAD.size:
            return None
        number, length, size, count = _HEAD.unpack_from(self._bytes)
        in_block, length = bool(length & _IN_BLOCK), length & ~_IN_BLOCK
        end = _HEAD.size + (0 if in_block else length)
        if length > (min(self._most, size) if in_block else _MOST_TEXT):
            raise Broken(f"a text of {length} bytes")
        if count > self._most_files:
            raise Broken(f"a message with {count} files")
        if len(self._bytes) < end:
            return None
        inline = bytes(self._bytes[_HEAD.size : end])
        del self._bytes[:end]
        block = self._block(size) if size else memoryview(b"")
        if count > len(self._descriptors):
            raise Broken("files without descriptors")
        files = tuple(self._descriptors.pop(0) for _ in range(count)) if count else ()
        if block is None:
            return Received(number, None, files, unread=True)
        text = block[size - length :] if in_block else inline
        return Received(number, unpack(text, block), files)

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


def unpack(text: blocks.Buffer, block: memoryview) -> Any:
    """The message of a text; its arrays are views of the block, or of the text.

    Raises:
        Broken: it is no message.
    """

    left = itertools.count(_MOST_ARRAYS, -1)

    def extension(code: int, data: memoryview) -> Any:
        if not next(left):
            raise ValueError("more arrays than an answer may have")
        if code == _STRINGS:
            return _strings(data)
        if code == _ARRAY:
            return _array(data, block)
        raise ValueError(f"an extension {code}")

    try:
        return msgspec.msgpack.decode(text, ext_hook=extension)
    except (msgspec.MsgspecError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise Broken(str(error)) from error
    except RecursionError as error:
        raise Broken("a message that is nested too deep") from error


_Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
_TOLD_ARRAY = msgspec.msgpack.Decoder(tuple[str, tuple[_Size, ...], bytes | _Size])
_TOLD_STRINGS = msgspec.msgpack.Decoder(tuple[tuple[_Size, ...], list[str]])


def _array(data: memoryview, block: memoryview) -> Array:
    name, shape, placed = _TOLD_ARRAY.decode(data)
    dtype = _DTYPES[name]
    count = math.prod(shape)
    if not count:
        return np.empty(shape, dtype)
    if isinstance(placed, bytes):
        return np.frombuffer(placed, dtype, count).reshape(shape)
    return np.frombuffer(block, dtype, count, placed).reshape(shape)


def _strings(data: memoryview) -> Array:
    shape, texts = _TOLD_STRINGS.decode(data)
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)
