"""Messages between processes: what arrives is what was sent, bit for bit, however it is cut."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from portgrad.compute import arriving, frames, rooms
from support.framed import RNG, Array, assert_same, bits, crossed, sent_and_read

pytestmark = pytest.mark.usefixtures("no_descriptor_is_gained")


ML_DTYPES = sorted({*ml_dtypes.__all__} - {"finfo", "iinfo", "__version__"})
NUMPY = "? b h i q B H I Q e f d F D".split()


@pytest.mark.parametrize("dtype", [*NUMPY, *(getattr(ml_dtypes, name) for name in ML_DTYPES)])
def test_every_dtype(dtype: Any) -> None:
    small, large = bits(dtype, 3, 5), bits(dtype, 70, 1001)
    got = crossed([small, large]).message
    for sent, came in zip([small, large], got, strict=True):
        assert_same(came, sent)


LAYOUTS = {
    "0-d": np.array(1.5),
    "a scalar of NumPy": np.float32(2.5),
    "empty": np.zeros((0,), np.float32),
    "empty in between": np.zeros((3, 0, 2), np.int64),
    "big-endian": np.arange(6, dtype=">i4").reshape(2, 3),
    "big-endian and large": np.arange(9000, dtype=">f8"),
    "Fortran's order": np.asfortranarray(RNG.standard_normal((60, 70))),
    "a view with steps": RNG.standard_normal((200, 200))[::-3, 5::2],
    "64 dimensions" if np.__version__ >= "2" else "32 dimensions": np.ones(
        (1,) * (64 if np.__version__ >= "2" else 32), np.int8
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    sent = np.asarray(LAYOUTS[layout])
    assert_same(crossed({"a": LAYOUTS[layout]}).message["a"], sent)


@pytest.mark.parametrize("size", [16 * 1024 + more for more in (-1, 0, 1)])
def test_around_the_size_of_what_stands_in_the_text(size: int) -> None:
    sent = bits(np.uint8, size)
    frame = frames.pack(sent)
    assert bool(frame.following) == (size > 16 * 1024)
    assert frame.block is None
    assert_same(crossed(sent).message, sent)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_around_the_size_of_a_block_that_follows(
    more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MOST_FOLLOWING", 2**20)
    sent = bits(np.uint8, 2**20 + 64 * more)
    frame = frames.pack(sent)
    assert (frame.block is None) == (more <= 0)
    frame.release()
    assert_same(crossed(sent).message, sent)


def test_around_the_size_of_a_text_that_lies_in_a_block() -> None:
    for size in range(48 * 1024 - 8, 48 * 1024 + 3):
        frame = frames.pack("x" * size)
        assert frame.in_block == (len(frame.text) > 48 * 1024)
        frame.release()
        assert crossed("x" * size).message == "x" * size


def test_large_arrays_beside_a_large_text() -> None:
    message = {"text": "y" * 100_000, "a": bits(np.float32, 5001), "b": bits(np.int8, 20_001)}
    got = crossed(message).message
    assert got["text"] == message["text"]
    for name in "ab":
        assert_same(got[name], np.asarray(message[name]))


def test_arrays_lie_at_aligned_addresses() -> None:
    got = crossed([bits(np.int8, 20_001), bits(np.float64, 3000), bits(np.int8, 17_000)]).message
    assert [array.ctypes.data % rooms.ALIGNMENT for array in got] == [0, 0, 0]


def test_many_small_arrays() -> None:
    sent = {f"a{i}": bits(np.float32, i % 7) for i in range(3000)}
    got = crossed(sent).message
    assert [*got] == [*sent]
    for name, array in sent.items():
        assert_same(got[name], array)


def test_more_pieces_than_one_call_writes() -> None:
    sent = [bits(np.uint8, 16 * 1024 + 1 + i % 64) for i in range(700)]
    for came, array in zip(crossed(sent).message, sent, strict=True):
        assert_same(came, array)


STRINGS = [
    np.array(["", "a", "ä€😀\n\0x"], object),
    np.array([["one", "two"]], "U3"),
    np.zeros((0, 2), object),
    np.array("alone", object),
    np.array(["z" * 30_000] * 3, object),
]


@pytest.mark.parametrize("sent", STRINGS, ids=range(len(STRINGS)))
def test_strings(sent: Array) -> None:
    got = crossed([sent]).message[0]
    assert (got.dtype, got.shape) == (np.dtype(object), sent.shape)
    assert got.tolist() == sent.tolist()


PLAIN: list[Any] = [
    None,
    {"a": [1, -1, 2**63, -(2**63), 2**64 - 1, 0.1, True, False, None, "é", b"\x00\xff"]},
    {"data": [[1.5, [2, "NaN"]], []], "π": {"Ω/😀": {}}},
    [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, float("inf"), float("-inf")],
]


@pytest.mark.parametrize("sent", PLAIN, ids=range(len(PLAIN)))
def test_plain_data(sent: Any) -> None:
    got = crossed(sent).message
    assert got == sent
    assert str(got) == str(sent)  # tells -0.0 from 0.0, True from 1


def test_not_a_number_stays_none() -> None:
    assert np.isnan(crossed([float("nan")]).message[0])


REFUSED: dict[str, tuple[Any, type[Exception]]] = {
    "an object": (object(), TypeError),
    "dates": (np.array(["2020-01-01"], "datetime64[D]"), TypeError),
    "bytes": (np.array([b"x"]), TypeError),
    "records": (np.zeros(2, [("a", "i4")]), TypeError),
    "an integer of 65 bits": (2**64, OverflowError),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_travel(what: str) -> None:
    message, error = REFUSED[what]
    with pytest.raises(error):
        frames.pack({"a": [bits(np.uint8, 20_000), message]})


def test_more_text_than_the_other_side_takes() -> None:
    with pytest.raises(frames.TooLong):
        frames.pack("x" * 100, most=100)
    assert frames.pack("x" * 90, most=100).text


def stream(*messages: Any) -> tuple[bytes, list[frames.Frame]]:
    """Frames without blocks, one after the other, as bytes."""
    made = [frames.pack(message) for message in messages]
    heads = [frames.HEAD.pack(i, len(frame.text), 0, 0) for i, frame in enumerate(made)]
    return b"".join(h + f.text for h, f in zip(heads, made, strict=True)), made


def test_cut_at_every_byte(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    data, _ = stream({"a": [1, "é"]}, None, bits(np.int8, 3).tolist())
    expected = None
    for cut in range(1, len(data)):
        reader, came = arriving.Reader(), []
        for piece in (data[:cut], data[cut:]):
            ours.sendall(piece)
            came += reader.feed(theirs) or []
        told = [(one.number, one.message) for one in came]
        assert [number for number, _ in told] == [0, 1, 2]
        assert expected in (None, told)
        expected = told


def test_byte_by_byte_with_a_block(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    monkeypatch.setattr(frames, "MOST_FOLLOWING", 0)
    sent = bits(np.float32, 5000)
    frame = frames.pack({"a": sent})
    assert frame.block is not None
    data = frames.HEAD.pack(3, len(frame.text), frame.size, 0) + frame.text
    reader, came = arriving.Reader(), []
    for i, byte in enumerate(data):
        socket.send_fds(ours, [bytes([byte])], [frame.block] if i == 0 else [])
        came += reader.feed(theirs) or []
    frame.release()
    assert [one.number for one in came] == [3]
    assert_same(came[0].message["a"], sent)


@pytest.mark.parametrize("cut", [1, 31, 32, 33, 60, 20_000, 60_000, 70_000, 99_999])
def test_cut_within_a_block_that_follows(
    cut: int, pair: tuple[socket.socket, socket.socket]
) -> None:
    """The rest may come in one piece with the next frame."""
    ours, theirs = pair
    sent = [bits(np.float32, 5000), bits(np.int8, 80_001)]
    frame, after = frames.pack({"a": sent}), frames.pack("after")
    head = frames.HEAD.pack(3, len(frame.text), frame.size | frames.FOLLOWS, 0)
    data = b"".join([head, frame.text, *frame.following])
    data += frames.HEAD.pack(4, len(after.text), 0, 0) + after.text
    reader, came = arriving.Reader(), []
    for piece in (data[:cut], data[cut:]):
        ours.sendall(piece)
        theirs.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                came += reader.feed(theirs) or []
    assert [one.number for one in came] == [3, 4]
    assert came[1].message == "after"
    for got, array in zip(came[0].message["a"], sent, strict=True):
        assert_same(got, array)


@pytest.mark.parametrize("room", [True, False])
def test_a_block_that_follows_and_there_is_no_memory_for(
    room: bool, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def short(size: int) -> rooms.Room:
        if room and made:
            return rooms.Room(size)
        raise MemoryError

    monkeypatch.setattr(arriving, "Room", short)
    sent, reader = np.arange(100_000), arriving.Reader(make_room=lambda: made.append(1))
    (received,) = sent_and_read(frames.pack({"x": sent}), *pair, reader)
    assert (received.number, received.unread, made) == (7, not room, [1])
    if room:
        assert_same(received.message["x"], sent)
    (after,) = sent_and_read(frames.pack("after"), *pair, reader)
    assert after.message == "after"


def test_two_in_one_reading(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    data, _ = stream("first", "second")
    ours.sendall(data)
    assert [one.message for one in arriving.Reader().feed(theirs) or []] == ["first", "second"]


def test_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    data, _ = stream("whole", "cut")
    ours.sendall(data[:-1])
    ours.shutdown(socket.SHUT_WR)
    reader = arriving.Reader()
    assert [one.message for one in reader.feed(theirs) or []] == ["whole"]
    assert reader.feed(theirs) is None


def test_files_beside_a_message(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    opened = [path.open("wb") for path in paths]
    sent = bits(np.float32, 10_000)
    received = crossed({"a": sent}, tuple(file.fileno() for file in opened))
    for file in opened:
        file.close()
    for number, descriptor in enumerate(received.files):
        assert not os.get_inheritable(descriptor)
        os.write(descriptor, str(number).encode())
        os.close(descriptor)
    assert [path.read_text() for path in paths] == ["0", "1"]
    assert_same(received.message["a"], sent)


def test_a_frame_is_sent_again() -> None:
    frame = frames.pack(bits(np.float32, 90_000))
    got = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            got += sent_and_read(frame, ours, theirs, arriving.Reader())
    frame.release()
    frame.release()
    assert_same(got[0].message, got[1].message)


def test_arrays_that_arrive_cannot_be_written() -> None:
    for size in (10, 10_000, 1_000_000, 5_000_000):
        array = crossed(bits(np.float32, size)).message
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
