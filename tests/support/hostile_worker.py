"""A nursery whose workers were taken over: each job's data say how they behave from then on.

Run as the real one is. Everything else about these workers is real, their confinement too.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import msgspec

from portgrad.compute import arriving, blocks, frames, nursery, worker
from portgrad.compute.config import WorkerConfig
from portgrad.compute.words import DEADLINE, RUNNING

KEPT = {"nets": 0, "sessions": 0, "session_hits": 0, "session_misses": 0}
NOTHING: dict[str, Any] = {"outputs": {}, "derivatives": [], "about": {}, "timings": {}}


class Ends:
    """What such a worker has: its two sockets, and the number of the job that it was given."""

    def __init__(self, jobs: socket.socket, words: socket.socket) -> None:
        self.jobs, self.words, self.number = jobs, words, 0

    def answer(self, message: Any) -> None:
        frame = frames.pack(message)
        frame.send(self.jobs, self.number)
        frame.release()

    def done(self, done: Any = NOTHING) -> None:
        self.answer({"done": done, "kept": KEPT})

    def fault(self, fault: Any) -> None:
        self.answer({"fault": fault, "kept": KEPT})

    def head(self, length: int, size: int, files: int, beside: Sequence[int] = ()) -> None:
        head = frames.HEAD.pack(self.number, length, size, files)
        socket.send_fds(self.jobs, [head + b"\xc0"], [*beside])


def _memfd(size: int) -> int:
    descriptor = os.memfd_create("hostile", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    return descriptor


def _with_descriptors(ends: Ends) -> None:
    for _ in range(200):
        socket.send_fds(ends.jobs, [b"\0"], [0] * 8)


def _escapes(ends: Ends) -> None:
    """Leaves whatever would end it, and lives on whoever hangs up."""
    libc = ctypes.CDLL(None)
    libc.prctl(1, 0)  # PR_SET_PDEATHSIG
    libc.setsid()
    libc.setpgid(0, 0)
    libc.fork()
    ends.done()
    while True:
        time.sleep(1)


def _writes_to_stderr(ends: Ends) -> None:
    for _ in range(100):
        os.write(2, b"\x1b[31m" + b"x" * 9_999 + b"\n")
    ends.done()


def _speaks_unasked(ends: Ends) -> None:
    for i in range(50):
        for seconds in (float("nan"), float("inf"), 0.0, -1.0):
            ends.words.send(RUNNING + i.to_bytes(8, "little") + struct.pack("<d", seconds))
            ends.words.send(DEADLINE + i.to_bytes(8, "little") + struct.pack("<d", seconds))
    ends.done()


def _hangs_up(ends: Ends) -> None:
    ends.jobs.close()
    time.sleep(60)


def _hangs_up_words(ends: Ends) -> None:
    ends.words.shutdown(socket.SHUT_RDWR)
    time.sleep(60)


def _unsealed(ends: Ends) -> None:
    descriptor = _memfd(1 << 20)
    os.write(descriptor, bytes(1 << 20))
    ends.head(1, 1 << 20, 0, [descriptor])


def _holes(ends: Ends) -> None:
    descriptor = _memfd(1 << 40)
    import fcntl

    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, blocks._seals())
    ends.head(1, 1 << 40, 0, [descriptor])


def _half_of_what_follows(ends: Ends) -> None:
    ends.head(1, frames.FOLLOWS | 1000, 0)
    ends.jobs.sendall(bytes(500))
    ends.jobs.close()
    time.sleep(60)


# Those that are answered, if with nothing.
HARMLESS: dict[str, Callable[[Ends], None]] = {
    "is honest": lambda ends: ends.done(),
    "writes to stderr": _writes_to_stderr,
    "speaks unasked": _speaks_unasked,
}
# Those that a worker is ended for.
FATAL: dict[str, Callable[[Ends], None]] = {
    "garbage": lambda ends: ends.jobs.sendall(b"\xff" * 1000),
    "hangs up": _hangs_up,
    "hangs up words": _hangs_up_words,
    "descriptors": _with_descriptors,
    "files": lambda ends: ends.head(1, 0, 1, [0]),
    "an unsealed block": _unsealed,
    "a block of holes": _holes,
    "half of a block that follows": _half_of_what_follows,
    "a block of 1 TiB that follows": lambda ends: ends.head(1, frames.FOLLOWS | 1 << 40, 0),
    "a text of 2 GiB": lambda ends: ends.head(1 << 31, 0, 0),
    "a number for an answer": lambda ends: ends.done(5),
    "no arrays": lambda ends: ends.done({**NOTHING, "outputs": {"y": [1.0]}}),
    "times that are none": lambda ends: ends.done({**NOTHING, "timings": {"run": float("nan")}}),
    "no counts": lambda ends: ends.answer({"done": NOTHING}),
    "another's error": lambda ends: ends.fault({"kind": "Busy", "detail": "x"}),
    "an unknown error": lambda ends: ends.fault({"kind": "SystemExit", "detail": "x"}),
    "a code with lines": lambda ends: ends.fault(
        {"kind": "RunFailed", "detail": "x", "code": "a\r\nSet-Cookie: b"}
    ),
    "an extension": lambda ends: ends.done(msgspec.msgpack.Ext(9, b"")),
}
# Those that the HTTP process notices only when it is to end.
LATER: dict[str, Callable[[Ends], None]] = {
    "escapes": _escapes,
    "answers twice": lambda ends: (ends.done(), ends.done())[0],
}


def serve(
    jobs: socket.socket, words: socket.socket, _config: WorkerConfig, _lacking: Sequence[str]
) -> NoReturn:
    """Behave as the jobs say."""
    ends = Ends(jobs, words)
    ends.done(None)
    reader = arriving.Reader()
    while (received := reader.feed(jobs)) is not None:
        for frame in received:
            ends.number = frame.number
            (HARMLESS | FATAL | LATER)[frame.message["data"]](ends)
    os._exit(0)


if __name__ == "__main__":
    worker.serve = serve
    nursery.main(int(sys.argv[1]), WorkerConfig(**json.loads(sys.argv[2])))
    nursery.end()
