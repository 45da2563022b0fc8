"""Messages sent from one end of a socket to the other, and arrays of any bits to send."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np

from portgrad.compute import arriving, frames

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(5)


def crossed(message: Any, files: tuple[int, ...] = ()) -> arriving.Received:
    """A message at the other end of a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        frame = frames.pack(message, files)
        (received,) = sent_and_read(frame, ours, theirs, arriving.Reader())
        frame.release()
    assert received.number == 7
    return received


def sent_and_read(
    frame: frames.Frame, ours: socket.socket, theirs: socket.socket, reader: arriving.Reader
) -> list[arriving.Received]:
    """What comes of a frame, which is sent as the other end takes it."""
    ours.setblocking(False)
    rest, came = frame.send(ours, 7), reader.feed(theirs)
    while not came:
        assert came is not None
        rest = frames.send_rest(ours, rest)
        came = reader.feed(theirs)
    assert not rest
    return came


def bits(dtype: Any, *shape: int) -> Array:
    """Every bit pattern is as likely: NaN with their payloads, infinities, subnormals."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return RNG.integers(0, 2, shape).astype(bool)
    if dtype.name in {"int1", "int2", "int4", "uint1", "uint2", "uint4"}:
        return RNG.integers(0, 2, shape).astype(dtype)
    raw = RNG.integers(0, 256, (*shape, dtype.itemsize), np.uint8)
    return raw.view(dtype).reshape(shape)


def assert_same(got: Array, sent: Array) -> None:
    native = np.ascontiguousarray(sent, sent.dtype.newbyteorder("="))
    assert (got.dtype, got.shape) == (native.dtype, sent.shape)
    assert got.tobytes() == native.tobytes()
