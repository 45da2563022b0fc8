"""A crew over fakes, for whoever asks for `run`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from portgrad.compute import crew
from support.fake_crew import FakeLink, FakeNursery, Rig, Run


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
