"""What workers write to stderr reaches the log, under their name, and cannot flood it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys

import pytest

from portgrad.compute.stderr import LONGEST, Lines, Listener

LOGGER = "portgrad.worker"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_lines_whole_and_in_pieces(caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines("worker-1")
    for piece in (b"one\ntw", b"o\n\n", b"three"):
        lines.feed(piece)
    assert told(caplog) == ["worker-1: one", "worker-1: two"]
    lines.end()
    assert told(caplog)[-1] == "worker-1: three"
    assert {record.worker for record in caplog.records} == {"worker-1"}  # type: ignore[attr-defined]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_line_is_cut_and_controls_nothing(caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines("w")
    lines.feed(b"\x1b[31mred\r\xff\n")
    assert told(caplog) == [
        "w: \N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    ]
    for _ in range(100):
        lines.feed(b"x" * 1000)
    assert max(map(len, told(caplog))) <= LONGEST + len("w: ")


def test_a_flood_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    lines = Lines("w", lambda: now[0])
    lines.feed(b"again\n" * 1000)
    assert len(told(caplog)) == 50
    now[0] = 11.0
    lines.feed(b"later\n")
    assert told(caplog)[50:] == ["w: 950 more lines were left out", "w: later"]


def test_the_stderr_of_a_process_that_aborts(caplog: pytest.LogCaptureFixture) -> None:
    async def listen() -> None:
        reading, writing = os.pipe()
        listener = Listener("worker-2", reading)
        code = "import os, sys; os.write(2, b'about to die'); os.abort()"
        process = subprocess.Popen([sys.executable, "-c", code], stderr=writing)
        os.close(writing)
        while listener._descriptor is not None:
            await asyncio.sleep(0.01)
        process.wait()
        listener.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(reading)

    asyncio.run(listen())
    assert told(caplog) == ["worker-2: about to die"]


def test_what_is_left_is_read_when_it_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    async def listen() -> None:
        reading, writing = os.pipe()
        listener = Listener("w", reading)
        os.write(writing, b"last words")
        listener.close()
        listener.close()
        os.close(writing)

    asyncio.run(listen())
    assert told(caplog) == ["w: last words"]
