"""Frames of a worker that was taken over: refused, without a crash and without a leak."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portgrad.compute import arriving, blocks, frames
from support.descriptors import open_descriptors

pytestmark = pytest.mark.usefixtures("no_descriptor_is_gained")

ARRAY, STRINGS = 1, 2
IN_BLOCK = FOLLOWS = 1 << 63
SEALS = blocks._seals()
encode = msgspec.msgpack.encode


def fed(
    data: bytes, descriptors: Sequence[int] = (), reader: arriving.Reader | None = None
) -> list[arriving.Received]:
    """What the HTTP process reads of some bytes; the descriptors are this test's no more."""
    reader = reader or arriving.Reader(frames.MOST_ANSWER, files=0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            socket.send_fds(ours, [data], [*descriptors])
            return reader.feed(theirs) or []
        finally:
            reader.close()
            for descriptor in descriptors:
                os.close(descriptor)


def head(length: int, size: int = 0, files: int = 0) -> bytes:
    return struct.pack("<QQQQ", 1, length, size, files)


def whole(text: bytes) -> bytes:
    return head(len(text)) + text


def memfd(content: bytes = b"", size: int | None = None, seals: int = SEALS) -> int:
    descriptor = os.memfd_create("hostile", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(descriptor, content)
    os.ftruncate(descriptor, len(content) if size is None else size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def array(name: Any, shape: Any, placed: Any, code: int = ARRAY) -> bytes:
    return encode(msgspec.msgpack.Ext(code, encode((name, shape, placed))))


def strings(shape: Any, texts: Any) -> bytes:
    return encode(msgspec.msgpack.Ext(STRINGS, encode((shape, texts))))


NIL = whole(b"\xc0")
TEXTS = {
    "nothing": b"",
    "cut": b"\x93\x01",
    "more than one": b"\xc0\xc0",
    "no UTF-8": b"\xa1\xff",
    "a reserved byte": b"\xc1",
    "a list of 4 billion": b"\xdd\xff\xff\xff\xff",
    "a string of 4 GB": b"\xdb\xff\xff\xff\xff",
    "a map with a list as key": b"\x81\x91\x93\x01",
    "a map with an array as key": b"\x81" + array("int8", [1], b"\0") + b"\xc0",
    "deep lists": b"\x91" * 40_000 + b"\xc0",
    "deep maps": b"\x81\xc0" * 20_000 + b"\xc0",
    "an unknown extension": encode(msgspec.msgpack.Ext(9, b"")),
    "an unknown dtype": array("float31", [1], b"\0\0\0\0"),
    "an object dtype": array("object", [1], b"\0" * 8),
    "a dtype that is no text": array(1, [1], b"\0"),
    "too few bytes": array("float32", [2], b"\0\0\0\0"),
    "a negative dimension": array("float32", [-1], b"\0\0\0\0"),
    "two negative dimensions": array("float32", [-1, -1], b"\0\0\0\0"),
    "a dimension of 2**63": array("float32", [2**63], b"\0\0\0\0"),
    "shapes that overflow": array("float32", [2**40] * 4, b"\0\0\0\0"),
    "empty, and yet too large": array("float32", [0, 2**48, 2**48], b""),
    "a fraction of a dimension": array("float32", [1.0], b"\0\0\0\0"),
    "a dimension that is none": array("float32", ["1"], b"\0\0\0\0"),
    "65 dimensions": array("int8", [1] * 65, b"\0"),
    "no shape": array("float32", None, b"\0\0\0\0"),
    "no bytes": array("float32", [1], None),
    "a block that is not there": array("float32", [1], 0),
    "an array of too few parts": encode(msgspec.msgpack.Ext(ARRAY, encode(("int8", [1])))),
    "an array that is no message": encode(msgspec.msgpack.Ext(ARRAY, b"\xc1")),
    "numbers for strings": strings([2], [1, 2]),
    "lists for strings": strings([2], [["a"], ["b"]]),
    "fewer strings": strings([3], ["a", "b"]),
    "no strings": strings([1], None),
    "a text for strings": strings([1], "a"),
    "a negative dimension of strings": strings([-1], ["a"]),
}


@pytest.mark.parametrize("what", TEXTS)
def test_texts(what: str) -> None:
    with pytest.raises(frames.Broken):
        fed(whole(TEXTS[what]))


BLOCK = bytes(range(256)) * 256
PLACED = {
    "behind its end": ("float32", [1], len(BLOCK)),
    "over its end": ("float32", [2], len(BLOCK) - 4),
    "before it": ("float32", [1], -4),
    "far behind it": ("float32", [1], 2**63),
    "all and more": ("float32", [len(BLOCK)], 0),
}


@pytest.mark.parametrize("what", PLACED)
def test_arrays_outside_of_the_block(what: str) -> None:
    text = array(*PLACED[what])
    with pytest.raises(frames.Broken):
        fed(head(len(text), len(BLOCK)) + text, [memfd(BLOCK)])


@pytest.mark.parametrize("what", PLACED)
def test_arrays_outside_of_a_block_that_follows(what: str) -> None:
    text = array(*PLACED[what])
    block = BLOCK[:8192]
    with pytest.raises(frames.Broken):
        fed(head(len(text), len(block) | FOLLOWS) + text + block)


def test_a_block_that_is_said_to_follow_takes_no_memory_before_it_comes() -> None:
    """Whoever says so and hangs up, or sends no more, holds what it has sent."""
    reader = arriving.Reader(frames.MOST_ANSWER, files=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        assert fed(head(1, frames.MOST_FOLLOWING | FOLLOWS) + b"\xc0", reader=reader) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024


def test_arrays_inside_of_the_block() -> None:
    """The table above is not refused for another reason."""
    text = array("uint8", [4], len(BLOCK) - 4)
    (received,) = fed(head(len(text), len(BLOCK)) + text, [memfd(BLOCK)])
    assert received.message.tolist() == [252, 253, 254, 255]


def _pipe() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


_ALL_BUT = {name: SEALS & ~getattr(fcntl, f"F_SEAL_{name}") for name in ("WRITE", "SHRINK", "GROW")}
DESCRIPTORS: dict[str, Callable[[], int]] = {
    "without seals": lambda: memfd(BLOCK, seals=0),
    "that can be written": lambda: memfd(BLOCK, seals=_ALL_BUT["WRITE"]),
    "that can shrink": lambda: memfd(BLOCK, seals=_ALL_BUT["SHRINK"]),
    "that can grow": lambda: memfd(BLOCK, seals=_ALL_BUT["GROW"]),
    "that is shorter": lambda: memfd(BLOCK[:-1]),
    "that is longer": lambda: memfd(BLOCK + b"\0"),
    "with holes": lambda: memfd(b"", len(BLOCK)),
    "with a hole at its end": lambda: memfd(BLOCK[:4096], len(BLOCK)),
    "that is a pipe": _pipe,
    "that is a socket": lambda: socket.socket().detach(),
    "that is a folder": lambda: os.open("/", os.O_RDONLY),
    "that is a file": lambda: os.open(__file__, os.O_RDONLY),
    "that is a device": lambda: os.open("/dev/zero", os.O_RDONLY),
}


@pytest.mark.parametrize("what", DESCRIPTORS)
def test_a_block(what: str) -> None:
    size = Path(__file__).stat().st_size if "file" in what else len(BLOCK)
    with pytest.raises(frames.Broken):
        fed(head(1, size) + b"\xc0", [DESCRIPTORS[what]()])


def test_a_block_of_a_terabyte_takes_no_memory() -> None:
    with pytest.raises(frames.Broken, match="holes"):
        fed(head(1, 1 << 40) + b"\xc0", [memfd(b"", 1 << 40)])


HEADS = {
    "a text of 2 GiB": head(1 << 31),
    "a text of 2**62": head(1 << 62),
    "more text than may stand outside of a block": head(48 * 1024 + 1),
    "a text in no block": head(1 | IN_BLOCK),
    "a text that is longer than its block": head(20 | IN_BLOCK, 10),
    "a block without a descriptor": head(1, 10) + b"\xc0",
    "a block that follows and is too long": head(1, frames.MOST_FOLLOWING + 1 | FOLLOWS) + b"\xc0",
    "a block that follows and is huge": head(1, (1 << 62) | FOLLOWS) + b"\xc0",
    "a block of nothing that follows": head(1, FOLLOWS) + b"\xc0",
    "a text that is longer than the block that follows": head(20 | IN_BLOCK, 10 | FOLLOWS),
    "a text that is longer than the block, and files": head(20 | IN_BLOCK, 10 | FOLLOWS, 1),
    "files": head(1, 0, 1) + b"\xc0",
    "many files": head(1, 0, 1 << 60) + b"\xc0",
}


@pytest.mark.parametrize("what", HEADS)
def test_heads(what: str) -> None:
    with pytest.raises(frames.Broken):
        fed(HEADS[what])


def test_a_text_that_is_longer_than_its_block_with_a_block() -> None:
    with pytest.raises(frames.Broken, match="a text of"):
        fed(head((len(BLOCK) + 1) | IN_BLOCK, len(BLOCK)), [memfd(BLOCK)])


def test_a_file_that_nobody_waits_for() -> None:
    with pytest.raises(frames.Broken, match="files"):
        fed(head(1, 0, 1) + b"\xc0", [_pipe()])


def test_files_without_descriptors() -> None:
    with pytest.raises(frames.Broken, match="descriptors"):
        fed(head(1, 0, 2) + b"\xc0", [_pipe()], arriving.Reader(files=2))


def test_descriptors_are_not_collected() -> None:
    """A few with each byte: they would use up what the process may open."""
    reader = arriving.Reader(frames.MOST_ANSWER, files=0)
    ours, theirs = socket.socketpair()
    pipe = _pipe()
    with ours, theirs:
        for byte in NIL[:2]:
            socket.send_fds(ours, [bytes([byte])], [pipe] * 4)
            assert reader.feed(theirs) == []
        socket.send_fds(ours, [NIL[2:3]], [pipe] * 4)
        with pytest.raises(frames.Broken, match="descriptors"):
            reader.feed(theirs)
        reader.close()
    os.close(pipe)


def test_more_descriptors_at_once_than_are_taken() -> None:
    pipe = _pipe()
    ours, theirs = socket.socketpair()
    reader = arriving.Reader()
    with ours, theirs:
        socket.send_fds(ours, [NIL], [pipe] * 200)
        before = open_descriptors()
        assert [one.message for one in reader.feed(theirs) or []] == [None]
        assert open_descriptors() - before <= 8
        reader.close()
    os.close(pipe)


def test_what_is_honest_before_it_is_lost_with_it() -> None:
    with pytest.raises(frames.Broken):
        fed(NIL + whole(b"\xc1"))


def _mutated(data: bytes, edits: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for place, byte in edits:
        changed[place % len(changed)] = byte
    return bytes(changed)


def _honest() -> bytes:
    rng = np.random.default_rng(3)
    message = {
        "done": {"outputs": {"y": rng.standard_normal((2, 3), np.float32)}, "n": [1, -5, 2.5]},
        "texts": np.array([["a", "é"]], object),
        "kept": {"nets": 1},
    }
    return whole(frames.pack(message).text)


HONEST = _honest()
EDITS = st.lists(st.tuples(st.integers(0, len(HONEST) - 1), st.integers(0, 255)), max_size=4)


@settings(max_examples=300, deadline=None)
@given(edits=EDITS, cut=st.integers(0, 40))
def test_mutated_frames(edits: list[tuple[int, int]], cut: int) -> None:
    """Whatever comes: frames, or Broken."""
    data = _mutated(HONEST, edits)
    with contextlib.suppress(frames.Broken):
        assert all(one.files == () for one in fed(data[: len(data) - cut]))


BLOCK_TEXT = frames.pack([np.arange(5000, dtype=np.float32), "text"]).text


@settings(max_examples=200, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    kinds=st.lists(st.sampled_from(["block", "pipe", "holes"]), max_size=3),
)
def test_mutated_frames_with_descriptors(edits: list[tuple[int, int]], kinds: list[str]) -> None:
    data = _mutated(head(len(BLOCK_TEXT), 20_032) + BLOCK_TEXT, edits)
    makers = {
        "block": lambda: memfd(bytes(20_032)),
        "pipe": _pipe,
        "holes": lambda: memfd(b"", 20_032),
    }
    with contextlib.suppress(frames.Broken):
        received = fed(data, [makers[kind]() for kind in kinds])
        assert all(one.files == () for one in received)


@settings(max_examples=200, deadline=None)
@given(text=st.binary(max_size=60))
def test_any_text(text: bytes) -> None:
    with contextlib.suppress(frames.Broken):
        fed(whole(text))


def test_no_descriptor_is_left_to_open() -> None:
    """What this process lacks is not the worker's fault: it is told apart from nonsense."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    pipe = _pipe()
    ours, theirs = socket.socketpair()
    reader = arriving.Reader()
    with ours, theirs:
        socket.send_fds(ours, [head(1, 10) + b"\xc0"], [pipe])
        resource.setrlimit(resource.RLIMIT_NOFILE, (ours.fileno(), limits[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                reader.feed(theirs)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    os.close(pipe)


def test_more_arrays_than_an_answer_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_MOST_ARRAYS", 3)
    one = array("int8", [1], b"\0")
    assert len(fed(whole(b"\x93" + one * 3))[0].message) == 3
    with pytest.raises(frames.Broken, match="more arrays"):
        fed(whole(b"\x94" + one * 4))
