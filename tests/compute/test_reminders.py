"""A crew looks at its line again in time, on the event loop that the service runs on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from portgrad.compute.config import PoolConfig, WorkerConfig
from portgrad.compute.crew import Crew


class Boss:
    def __init__(self) -> None:
        self.dispatched = 0

    def dispatch(self) -> None:
        self.dispatched += 1

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"no worker, so nothing of {name}")


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("first", [-0.001, 0.0, 0.001, 60.0])
def test_a_reminder_follows_one_that_is_due(first: float, new_loop: Any) -> None:
    boss = Boss()

    async def remind() -> None:
        crew = Crew(WorkerConfig(), PoolConfig(), boss)
        crew._remind(first)
        crew._remind(0.005)
        await asyncio.sleep(0.05)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(remind())
    assert boss.dispatched >= 1
