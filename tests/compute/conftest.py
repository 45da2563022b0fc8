"""A crew over fakes, for whoever asks for `run`, and one worker for who asks for `rig`; both
ends of a socket, and a watch on descriptors.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from portgrad.compute import crew
from support import pool_rig
from support.descriptors import open_descriptors
from support.fake_crew import FakeLink, FakeNursery, Rig, Run
from support.grouped import one_worker


@pytest.fixture
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(crew, "Link", FakeLink)
    monkeypatch.setattr(crew, "Nursery", FakeNursery)
    size = {"workers": 2, "spare": 1, "nets": 10, **getattr(request, "param", {})}
    with asyncio.Runner() as runner:

        def running(work: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
            async def inside() -> None:
                await work(Rig(asyncio.get_running_loop(), **size))

            runner.run(inside())

        yield running


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pool_rig.Rig]:
    with one_worker(tmp_path_factory.mktemp("nets")) as rig:
        yield rig


@pytest.fixture
def rig(one: pool_rig.Rig) -> pool_rig.Rig:
    """One worker with a batchable net, and no groups counted."""
    one.compute._batches.sizes.clear()
    return one


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def no_descriptor_is_gained() -> Iterator[None]:
    """For tests that leave as many descriptors open as there were."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before
