"""Blocks of shared memory: sealed for whoever has them, and sent beside a message."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import socket
from contextlib import closing

import numpy as np
import pytest

from portgrad.compute import arriving, blocks, frames
from support.framed import bits, crossed

pytestmark = pytest.mark.usefixtures("no_descriptor_is_gained")


def test_seals_hold() -> None:
    descriptor = blocks.sealed([b"some bytes"])
    for change in (
        lambda: os.ftruncate(descriptor, 3),
        lambda: os.ftruncate(descriptor, 1000),
        lambda: os.pwrite(descriptor, b"X", 0),
        lambda: os.pwrite(descriptor, b"X", 10),
        lambda: mmap.mmap(descriptor, 10, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE),
        lambda: fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
        lambda: os.truncate(f"/proc/self/fd/{descriptor}", 0),
    ):
        with pytest.raises(PermissionError):
            change()
    # Opened anew it is the same file.
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    with pytest.raises(PermissionError):
        os.pwrite(again, b"X", 0)
    os.close(again)
    assert bytes(blocks.mapped(descriptor, 10)) == b"some bytes"
    os.close(descriptor)


def test_no_block_without_memory_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frames, "MOST_FOLLOWING", 0)
    monkeypatch.setattr(os, "writev", full)
    with pytest.raises(OSError, match="space"):
        frames.pack(bits(np.float32, 9000))


@pytest.mark.parametrize("room", [True, False])
def test_a_block_that_there_is_no_memory_for(
    room: bool, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped, made = blocks.mapped, []

    def short(descriptor: int, size: int) -> memoryview:
        if room and made:
            return mapped(descriptor, size)
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(frames, "MOST_FOLLOWING", 0)
    monkeypatch.setattr(blocks, "mapped", short)
    ours, theirs = pair
    sent = np.arange(100_000)
    frame = frames.pack({"x": sent})
    frame.send(ours, 7)
    frame.release()
    (received,) = arriving.Reader(make_room=lambda: made.append(1)).feed(theirs) or []
    assert (received.number, received.unread, made) == (7, not room, [1])
    if room:
        np.testing.assert_array_equal(received.message["x"], sent)


@pytest.mark.parametrize("beside", [0, 100_000], ids=["alone", "beside a long text"])
def test_a_sealed_block_travels_as_it_is(beside: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_FOLLOWING", 0)
    body = np.arange(100_000, dtype=np.uint8).tobytes()
    with closing(blocks.Block(len(body))) as block:
        block.write(body[:1000])
        block.write(memoryview(body)[1000:])
        block.seal()
        assert block.data() == body
        message = {"body": frames.Pieces([block]), "text": "x" * beside}
        frame = frames.pack(message)
        assert frame.block is not None
        assert (os.fstat(frame.block).st_size == len(body)) == (not beside)
        frame.release()
        found = crossed(message).message
    assert found["body"].tobytes() == body
    assert len(found["text"]) == beside
