"""Messages between the HTTP process and a worker: plain data as msgpack, arrays by reference.

    head (32 bytes)   number of the job, length of the text, length of the block, files
    text              msgpack; small arrays stand in it
    block             what is large: it follows on the socket or, above 16 MiB, is in shared memory,
                      whose descriptor travels beside the head
    files             descriptors of files that the message is about, likewise

A text that is large itself lies at the end of the block. To copy a block through the socket takes
less time than new pages of shared memory do, and twice the memory. Nothing is ever unpickled: a
worker runs strangers' nets, and what it sends is read like any stranger's bytes (`arriving`).
"""

from __future__ import annotations

import array
import itertools
import math
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import ml_dtypes
import msgspec
import numpy as np

from portgrad.compute import blocks, rooms

Array = np.ndarray[Any, Any]

HEAD = struct.Struct("<QQQQ")
# The socket takes it at once; its buffer holds some 200 KiB.
MOST_TEXT = 48 * 1024
_MOST_INLINE = 16 * 1024
IN_BLOCK = 1 << 63  # in the length of the text: it lies in the block
FOLLOWS = 1 << 63  # in the length of the block: it comes after the text
MOST_FOLLOWING = 16 * 1024 * 1024
# The largest text that a worker may send. What it says becomes objects of the HTTP process, which
# may take some dozens of times as much; arrays of numbers are not in it.
MOST_ANSWER = 64 * 1024 * 1024
# The HTTP process waits for so many to be read, which takes it 0.3 s.
_MOST_ARRAYS = 2**17
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

    Attributes:
        following: the pieces of a block that follows on the socket.
        block: the descriptor of one that does not.
        size: how long it is.
        in_block: whether the text lies in the block.
    """

    text: bytes
    following: Sequence[memoryview] = ()
    block: int | None = None
    size: int = 0
    in_block: bool = False
    files: tuple[int, ...] = ()

    def send(self, to: socket.socket, number: int) -> list[memoryview]:
        """Send it; what is left of it where a socket does not wait: see `send_rest`.

        Raises:
            OSError: the other side is gone, or does not read.
        """
        length = len(self.text) | (IN_BLOCK if self.in_block else 0)
        size = self.size | (FOLLOWS if self.following else 0)
        head = HEAD.pack(number, length, size, len(self.files))
        rest = [memoryview(head if self.in_block else head + self.text), *self.following]
        beside = [*(() if self.block is None else (self.block,)), *self.files]
        if beside:
            told = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", beside))]
            rest = blocks.after(rest, to.sendmsg(rest[: blocks.MOST_VECTORS], told))
        return send_rest(to, rest)

    def release(self) -> None:
        """Give the block back. The other side keeps what it has of it."""
        if self.block is not None:
            os.close(self.block)
            object.__setattr__(self, "block", None)


def send_rest(to: socket.socket, rest: list[memoryview]) -> list[memoryview]:
    """Send what is left of a frame; what is left then, where a socket does not wait.

    Raises:
        OSError: the other side is gone.
    """
    while rest:
        try:
            sent = to.sendmsg(rest[: blocks.MOST_VECTORS])
        except BlockingIOError:
            return rest
        rest = blocks.after(rest, sent)
    return rest


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
        if not writer.pieces and len(text) <= MOST_TEXT:
            block = os.dup(writer.block.descriptor)
            return Frame(text, block=block, size=len(writer.block), files=files)
        writer = _Writer(as_they_are=False)  # there is more beside it
        text = msgspec.msgpack.encode(message, enc_hook=writer.value)
    if most is not None and len(text) > most:
        raise TooLong(f"{len(text)} bytes of text")
    in_block = len(text) > MOST_TEXT
    # Arrays keep their offsets: a text that lies there, too, comes after them.
    pieces = [*writer.pieces, text] if in_block else writer.pieces
    size = writer.size + (len(text) if in_block else 0)
    if size <= MOST_FOLLOWING:
        return Frame(text, [memoryview(piece) for piece in pieces], None, size, in_block, files)
    return Frame(text, (), blocks.sealed(pieces), size, in_block, files)


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
        given = np.asarray(value)
        if given.dtype.kind in "OUT":
            texts = [str(text) for text in given.ravel()]
            return msgspec.msgpack.Ext(_STRINGS, msgspec.msgpack.encode((given.shape, texts)))
        name = _NAMES.get(given.dtype)
        if name is None:
            name = given.dtype.name
            if name not in _DTYPES:
                raise TypeError(f"arrays of {name} do not travel")
        native = np.asarray(given, _DTYPES[name], order="C")
        data = native.reshape(-1).view(np.uint8).data
        placed = bytes(data) if len(data) <= _MOST_INLINE else self._offset([data], len(data))
        return _told(name, native.shape, placed)

    def _offset(self, raw: list[memoryview], size: int) -> int:
        offset = self.size
        gap = rooms.padding(size)
        self.pieces += [*raw, bytes(gap)] if gap else raw
        self.size += size + gap
        return offset


def _told(name: str, shape: tuple[int, ...], placed: bytes | int) -> msgspec.msgpack.Ext:
    """An array, as it stands in a text."""
    return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode((name, shape, placed)))


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
    strings = np.empty(len(texts), object)
    strings[:] = texts
    return strings.reshape(shape)
