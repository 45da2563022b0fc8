"""How many workers there are, and what a worker may not say.

Links and the nursery are fakes, and the clock is wound by hand.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

from support.fake_crew import KEPT, Rig, Run


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


@pytest.mark.parametrize("worn", [False, True])
def test_a_worker_without_memory_is_replaced_after_its_answer(run: Run, worn: bool) -> None:
    async def work(rig: Rig) -> None:
        rig.start()
        ticket, link = rig.give("a")
        link.says({"done": {}, "kept": KEPT, "worn": worn}, ticket.number)
        assert link.killed == worn
        assert rig.boss.deaths == []
        assert len(rig.links) == 2 + worn
        rig.ready(rig.links[-1])
        assert len(rig.crew.stats()) == 2
        assert (rig.do("a") is link) != worn

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
