"""A worker as the HTTP process sees it: what is large is sent as it is read, and nobody waits."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from portgrad.compute import arriving, frames
from portgrad.compute.links import Heard, Link

# More than any buffer of a socket holds.
LARGE = np.arange(frames.MOST_FOLLOWING // 8 - 8)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


def linked() -> tuple[Link, socket.socket]:
    """A link, and the end of it that its worker has for jobs."""

    def nothing(*_: object) -> None: ...

    link = Link(1, Heard(nothing, nothing, nothing))
    return link, link._theirs[0]


def test_what_is_large_arrives_as_it_is_read(runner: asyncio.Runner) -> None:
    async def run() -> None:
        link, jobs = linked()
        reader, came = arriving.Reader(), []
        link.give(frames.pack({"x": LARGE}), 1)
        while not came:
            came = await asyncio.to_thread(reader.feed, jobs) or []
        np.testing.assert_array_equal(came[0].message["x"], LARGE)
        link.give(frames.pack("after"), 2)
        (after,) = await asyncio.to_thread(reader.feed, jobs) or []
        assert (after.number, after.message) == (2, "after")
        link.close()

    runner.run(run())


@pytest.mark.parametrize("end", ["it is given more", "it hangs up"])
def test_a_worker_that_does_not_read_is_ended(
    end: str, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it is given more means that it answered what it has not read."""
    killed: list[Link] = []

    def kill(link: Link) -> None:
        killed.append(link)

    monkeypatch.setattr(Link, "kill", kill)

    async def run() -> None:
        link, jobs = linked()
        link.give(frames.pack({"x": LARGE}), 1)
        await asyncio.sleep(0.01)
        assert not killed
        if end == "it hangs up":
            jobs.close()
            await asyncio.sleep(0.05)
        else:
            link.give(frames.pack("more"), 2)
        assert killed == [link]
        link.close()

    runner.run(run())
