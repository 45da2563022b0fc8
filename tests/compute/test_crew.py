"""Which worker gets a job.

Links and the nursery are fakes, and the clock is wound by hand.
"""

from __future__ import annotations

from typing import Any

import pytest

from portgrad.compute.config import SESSIONS
from support.fake_crew import Rig, Run


def test_who_has_the_net_gets_its_jobs(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        first = rig.do("a")
        second = rig.do("b")
        assert second is not first  # it holds fewer nets
        for _ in range(3):
            assert rig.do("a") is first
            assert rig.do("b") is second
        assert rig.choose(rig.ticket(None)) is not None

    run(work)


@pytest.mark.parametrize(("compile_seconds", "waits"), [(2.0, 2.0), (0.3, 0.3), (500.0, 60.0)])
def test_a_job_waits_as_long_as_opening_its_net_took(
    run: Run, compile_seconds: float, waits: float
) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        has = rig.do("a", compile_seconds=compile_seconds)
        rig.give("a", has)
        ticket = rig.ticket("a")
        before = rig.boss.dispatched
        assert rig.choose(ticket) is None
        await rig.wait(waits - 0.01)
        assert rig.choose(ticket) is None
        assert rig.boss.dispatched == before
        await rig.wait(0.02)
        assert rig.boss.dispatched > before  # it was reminded
        other = rig.choose(ticket)
        assert other is not None
        assert other is not has

    run(work)


def test_what_opening_takes_is_the_least_that_was_seen(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        first, second = rig.links
        rig.do("a", first, compile_seconds=0.3)
        rig.do("a", second, compile_seconds=30.0)  # the machine was busy
        for link in rig.links:
            rig.give("a", link)
        ticket = rig.ticket("a")
        assert rig.choose(ticket) is None
        before = rig.boss.dispatched
        await rig.wait(0.31)
        assert rig.boss.dispatched > before

    run(work)


REHEARSED: dict[str, tuple[dict[str, Any], bool]] = {
    "what was compiled": ({}, True),
    "nothing was compiled": ({"misses": 0}, False),
    "what took long": ({"seconds": 0.3}, False),
    "what is large": ({"size": 1024 * 1024 + 1}, False),
    "where the other keeps many": ({"sessions": SESSIONS // 2}, False),
    "where the other is at work": ({"busy": True}, False),
    "where the other has no room": ({"nets": 10}, False),
    "for nobody who left": ({"gone": True}, False),
    "but not again": ({"rehearsal": True}, False),
}


@pytest.mark.parametrize(("how", "done"), REHEARSED.values(), ids=REHEARSED)
def test_a_job_is_rehearsed(run: Run, how: dict[str, Any], done: bool) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        first, other = rig.links
        for net in range(how.get("nets", 1)):
            ticket, _ = rig.give(f"n{net}", other)
            rig.finish(ticket, sessions=how.get("sessions", 1))
        if "busy" in how:
            rig.give("n0", other)
        ticket, _ = rig.give("a", first)
        ticket.rehearsal = "rehearsal" in how
        object.__setattr__(ticket.frame, "size", how.get("size", 0))
        if "gone" in how:
            ticket.answer.cancel()
        await rig.wait(how.get("seconds", 0.01))
        rig.finish(ticket, session_misses=how.get("misses", 1))
        assert rig.boss.rehearsed == ([(ticket, other)] if done else [])

    run(work)


def test_who_has_been_at_a_job_for_so_long_already_is_not_waited_for(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        has = rig.do("a", compile_seconds=0.3)
        rig.give("a", has)
        await rig.wait(0.2)
        ticket = rig.ticket("a")
        assert rig.choose(ticket) is None
        await rig.wait(0.11)
        assert rig.choose(ticket) not in (None, has)
        assert rig.choose(rig.ticket("a")) not in (None, has)

    run(work)


def test_who_is_free_in_time_gets_it(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        has = rig.do("a", compile_seconds=2.0)
        busy, _ = rig.give("a", has)
        ticket = rig.ticket("a")
        assert rig.choose(ticket) is None
        await rig.wait(1.0)
        rig.finish(busy)
        assert rig.choose(ticket) is has

    run(work)


def test_a_net_that_nobody_has_waits_for_nobody(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        _, busy = rig.give("a")
        assert rig.choose(rig.ticket("b")) not in (None, busy)

    run(work)


@pytest.mark.parametrize("run", [{"nets": 2}], indirect=True)
def test_what_a_worker_has_dropped_is_not_counted_on(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        link = rig.links[0]
        for net in ("a", "b", "a", "c"):
            rig.do(net, link)
        assert [*link.nets] == ["a", "c"]
        ticket, _ = rig.give("b", link)
        assert ticket.cold

    run(work)
