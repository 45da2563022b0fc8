"""Which worker gets a job, how many workers there are, and what a worker may not say.

Links and the nursery are fakes, and the clock is wound by hand.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from portgrad.compute import crew
from portgrad.compute.config import SESSIONS
from support.fake_crew import KEPT, FakeLink, FakeNursery, Rig

Run = Callable[[Callable[[Rig], Coroutine[Any, Any, None]]], None]


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


def test_a_spare_worker(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        asked = rig.now
        rig.crew.relieve(asked)
        await rig.wait(1.0)
        rig.crew.relieve(asked)
        assert len(rig.links) == 2  # two are idle
        busy = [rig.give("a", link)[0] for link in rig.links]
        rig.crew.relieve(None)  # nobody waits
        rig.crew.relieve(rig.now)
        assert len(rig.links) == 2  # nobody has waited for long
        before = rig.boss.dispatched
        await rig.wait(0.26)
        assert rig.boss.dispatched > before
        for _ in range(3):
            rig.crew.relieve(rig.now - 0.26)
        assert len(rig.links) == 3  # one is about to be ready, and there are no more
        spare = rig.links[2]
        rig.ready(spare)
        assert [worker.spare for worker in rig.crew.stats()] == [False, False, True]
        ticket, _ = rig.give("a", spare)
        rig.crew.relieve(rig.now - 9)
        assert len(rig.links) == 3
        # It goes when nobody has needed it for half a minute.
        rig.finish(ticket)
        await rig.wait(29.0)
        rig.do("a", spare)
        await rig.wait(29.0)
        assert not spare.closed
        await rig.wait(1.1)
        assert spare.closed
        assert spare.killed
        assert len(rig.crew.stats()) == 2
        rig.crew.relieve(rig.now - 9)
        assert rig.links[3].name == spare.name
        for one in busy:
            rig.finish(one)

    run(work)


def test_a_spare_worker_takes_the_place_of_one_that_died(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        for link in rig.links:
            rig.give("a", link)
        rig.crew.relieve(rig.now - 1)
        spare = rig.links[2]
        rig.ready(spare)
        rig.links[0].ends()
        await rig.wait(0.0)
        await rig.wait(31.0)
        assert not spare.closed
        assert len(rig.crew.stats()) == 2

    run(work)


def test_a_worker_that_dies_is_replaced_at_once(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        ticket, link = rig.give("a")
        link.ends(signal.SIGSEGV)
        assert rig.boss.deaths == [(ticket, signal.SIGSEGV, None)]
        await rig.wait(0.0)
        assert len(rig.links) == 3
        assert rig.links[2].name == link.name

    run(work)


def test_one_that_hangs_before_it_is_ready_is_ended(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.crew.start()
        hanging, well = rig.links
        rig.ready(well)
        await rig.wait(59.9)
        assert not hanging.killed
        await rig.wait(0.2)
        assert (hanging.killed, well.killed) == (True, False)
        hanging.ends()
        assert rig.boss.deaths == [(None, signal.SIGKILL, "deadline")]

    run(work)


def test_those_that_die_before_they_are_ready_are_not_replaced_in_a_hurry(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.crew.start()
        asked = rig.now
        for turn in range(1, 5):
            for link in rig.links[-2:]:
                link.ends()
            await rig.wait(0.3)
            rig.crew.relieve(asked)
            assert len(rig.links) == 2 * turn
            await rig.wait(0.3)
            assert len(rig.links) == 2 * turn + 2

    run(work)


def test_all_that_end_at_one_moment_are_gone_before_a_job_is_given(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        before = rig.boss.dispatched
        for link in rig.links[:2]:
            link.ends()
            assert rig.boss.dispatched == before
        await rig.wait(0.0)
        assert rig.boss.dispatched > before

    run(work)


SAID: dict[str, tuple[Any, int]] = {
    "no message": ("text", 1),
    "no answer": ({}, 1),
    "without what it keeps": ({"done": {}}, 1),
    "counts that are none": ({"done": {}, "kept": {**KEPT, "sessions": "2"}}, 1),
    "counts below zero": ({"done": {}, "kept": {**KEPT, "nets": -1}}, 1),
    "counts without end": ({"done": {}, "kept": {**KEPT, "session_hits": float("inf")}}, 1),
    "huge counts": ({"done": {}, "kept": {**KEPT, "session_hits": 2**63}}, 1),
    "what the pool does not believe": ({"done": "nonsense", "kept": KEPT}, 1),
    "another job's answer": ({"done": {}, "kept": KEPT}, 2),
    "word of a net that it need not forget": ({"done": None, "kept": KEPT}, 0),
}


@pytest.mark.parametrize("what", SAID)
def test_who_talks_nonsense_is_ended_for_it(run: Run, what: str) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        ticket, link = rig.give("a")
        message, number = SAID[what]
        link.says(message, number)
        assert link.killed
        # The job is still its own, and nothing that it says counts any more.
        link.says({"done": {}, "kept": KEPT}, ticket.number)
        assert [worker.state for worker in rig.crew.stats()].count("busy") == 1
        link.ends()
        assert rig.boss.deaths == [(ticket, signal.SIGKILL, "crashed")]

    run(work)


def test_who_talks_unasked_is_ended_for_it(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        rig.links[0].says({"done": {}, "kept": KEPT}, 5)
        assert rig.links[0].killed

    run(work)


def test_whose_link_is_broken_has_crashed(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        ticket, link = rig.give("a")
        link.broken = True
        link.ends()
        assert rig.boss.deaths == [(ticket, signal.SIGKILL, "crashed")]

    run(work)


def test_forgetting(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        for link in rig.links:
            rig.do("a", link)
            rig.do("b", link)
        free, busy = rig.links
        ticket, _ = rig.give("b", busy)
        asked = (0, {"do": "forget", "net_ids": ["a"]})
        rig.crew.forget("a")
        rig.crew.forget("unknown")
        assert free.given[-1] == asked
        assert busy.given[-1] != asked
        rig.finish(ticket)
        assert busy.given[-1] == asked
        for link in rig.links:
            assert [*link.nets] == ["b"]
            link.says({"done": None, "kept": KEPT}, 0)
            assert not link.killed
            # One word for one request.
            link.says({"done": None, "kept": KEPT}, 0)
            assert link.killed

    run(work)


def test_counts_outlive_workers(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        for hits in (2, 5):
            ticket, link = rig.give("a", rig.links[0])
            link.says({"done": {}, "kept": {**KEPT, "session_hits": hits}}, ticket.number)
        link.ends()
        await rig.wait(0.0)
        newer = rig.links[-1]
        rig.ready(newer)
        ticket, _ = rig.give("a", newer)
        newer.says({"done": {}, "kept": {**KEPT, "session_hits": 3}}, ticket.number)
        assert rig.crew.counted["session_hits"] == 8

    run(work)
