"""A crew over links and a nursery that are fakes, on a clock that is wound by hand."""

from __future__ import annotations

import asyncio
import signal
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from portgrad.codecs.model import Answer
from portgrad.compute import arriving, frames, messages
from portgrad.compute.config import PoolConfig, WorkerConfig
from portgrad.compute.crew import Crew
from portgrad.compute.line import Ticket
from portgrad.compute.links import Heard

KEPT = {"nets": 1, "sessions": 2, "session_hits": 0, "session_misses": 0}


class FakeLink:
    def __init__(self, name: int, heard: Heard) -> None:
        self.name = name
        self.pid = 1000 + name
        self.nets: OrderedDict[str, None] = OrderedDict()
        self.stale: set[str] = set()
        self.broken = self.killed = self.closed = False
        self.given: list[Any] = []
        self.heard = heard

    def give(self, frame: frames.Frame, number: int) -> None:
        self.given.append((number, frames.unpack(frame.text, memoryview(b""))))

    def says(self, message: Any, number: int) -> None:
        self.heard.frame(self, arriving.Received(number, message))  # type: ignore[arg-type]

    def kill(self) -> None:
        self.killed = True

    def close(self) -> None:
        self.closed = True

    def ends(self, status: int = signal.SIGKILL) -> None:
        self.heard.end(self, status)  # type: ignore[arg-type]


class FakeNursery:
    pid = None

    def __init__(self, _: WorkerConfig) -> None:
        self.links: list[FakeLink] = []

    def fork(self, link: FakeLink) -> None:
        self.links.append(link)


class Boss:
    """Does what a pool would do, and remembers what it was told."""

    def __init__(self) -> None:
        self.dispatched = 0
        self.compile = 0.0
        self.rehearsed: list[tuple[Ticket, Any]] = []
        self.deaths: list[tuple[Ticket | None, int, str | None]] = []

    def dispatch(self) -> None:
        self.dispatched += 1

    def heard(self, _ticket: Ticket, told: messages.Told) -> Any:
        if told.done == "nonsense":
            raise ValueError("nonsense")
        return Answer(timings={"compile": self.compile}) if told.fault is None else None

    def word(self, ticket: Ticket, word: bytes, seconds: float) -> None: ...

    def rehearse(self, ticket: Ticket, link: Any) -> None:
        self.rehearsed.append((ticket, link))

    def died(self, ticket: Ticket | None, status: int, sentence: str | None) -> None:
        self.deaths.append((ticket, status, sentence))


class Rig:
    """A crew over fakes, on a loop whose time is `now`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, workers: int, spare: int, nets: int
    ) -> None:
        self.now = 1000.0
        self.loop = loop
        loop.time = lambda: self.now  # type: ignore[method-assign]
        self.boss = Boss()
        pool = PoolConfig(workers=workers, spare=spare)
        self.crew = Crew(WorkerConfig(nets=nets), pool, self.boss)
        nursery: Any = self.crew._nursery
        self.links: list[FakeLink] = nursery.links
        self._numbers = 0

    def start(self) -> None:
        self.crew.start()
        for link in self.links:
            self.ready(link)

    def ready(self, link: FakeLink) -> None:
        link.says({"done": None, "kept": KEPT}, 0)

    async def wait(self, seconds: float) -> None:
        self.now += seconds
        for _ in range(4):
            await asyncio.sleep(0)

    def ticket(self, net: str | None) -> Ticket:
        self._numbers += 1
        answer = self.loop.create_future()
        frame = frames.pack({"net": net})
        return Ticket(
            "evaluate", frame, net, "", self.now, 9.0, lambda d: d, answer, number=self._numbers
        )

    def choose(self, ticket: Ticket) -> FakeLink | None:
        chosen: Any = self.crew.choose(ticket)
        return chosen

    def give(self, net: str | None, link: FakeLink | None = None) -> tuple[Ticket, FakeLink]:
        ticket = self.ticket(net)
        link = link or self.choose(ticket)
        assert link is not None
        ticket.link, ticket.given = link, self.now  # type: ignore[assignment]
        self.crew.give(ticket, link)  # type: ignore[arg-type]
        return ticket, link

    def finish(self, ticket: Ticket, compile_seconds: float = 0.0, **kept: int) -> None:
        self.boss.compile = compile_seconds
        link: Any = ticket.link
        link.says({"done": {}, "kept": {**KEPT, **kept}}, ticket.number)

    def do(self, net: str, link: FakeLink | None = None, compile_seconds: float = 0.0) -> FakeLink:
        """A whole job; who did it."""
        ticket, link = self.give(net, link)
        self.finish(ticket, compile_seconds)
        return link


Run = Callable[[Callable[[Rig], Coroutine[Any, Any, None]]], None]
