"""Calls that run as one: nobody pays for what another does, or for what befalls their worker."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from portgrad.codecs.model import Answer
from portgrad.compute import messages
from portgrad.compute.batching import Group
from portgrad.compute.jobs import Job
from portgrad.errors import DeadlineExceeded, InvalidRequest, RunFailed
from support import hard_nets
from support.grouped import gate, job, same, sizes, together, waiting, x
from support.hard_nets import stored
from support.pool_rig import Rig, until

# Its examples never meet; the least int32 by -1 ends the process.
DIVIDING = hard_nets.DIVIDING
DIVIDED = [{"name": "a", "shape": [1]}, {"name": "b", "shape": [1]}]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a class": ({"output_gradients": {"y": {"index": 7}}}, "index_out_of_range"),
    "lists": ({"data": {"x": [[1.0, 2.0, 3.0], [1.0]]}}, "ragged_array"),
    "text": ({"data": {"x": [["a", 2.0, 3.0]]}}, "wrong_dtype"),
}


@pytest.mark.parametrize("what", BAD)
def test_who_is_at_fault_is_told_alone(rig: Rig, what: str) -> None:
    async def run() -> None:
        wrong, code = BAD[what]
        seeds = {"output_gradients": {"y": {"index": 1}}} if what == "a class" else {}
        good = {"data": {"x": [[1.0, 2.0, 3.0]]}, **seeds}
        jobs = [job(rig, **each) for each in (good, {**good, **wrong}, good)]
        first, bad, last = await together(rig, jobs)
        assert sizes(rig) == {3: 1}
        assert isinstance(bad, InvalidRequest)
        assert bad.code == code
        alone = await rig.compute.call(replace(jobs[0], ports=()))
        same(first, alone)
        same(last, alone)

    rig.run(run())


def test_a_fault_of_all_is_each_ones_own(rig: Rig) -> None:
    """Of a net that was removed, say."""

    async def run() -> None:
        jobs = [job(rig, x(1), options={"of": "nothing"}) for _ in range(2)]
        found = await together(rig, jobs)
        assert [getattr(one, "code", None) for one in found] == ["unknown_name"] * 2

    rig.run(run())


@pytest.fixture
def stop_at_groups(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The worker stands still as soon as it is given a group, until it is signalled."""
    crew, pids = rig.compute._crew, []
    give = crew.give

    def giving(ticket: Any, link: Any) -> None:
        if isinstance(ticket, Group):
            os.kill(link.pid, signal.SIGSTOP)
            pids.append(link.pid)
        give(ticket, link)

    monkeypatch.setattr(crew, "give", giving)

    def signalled(number: int) -> None:
        os.kill(pids[-1], number)
        os.kill(pids[-1], signal.SIGCONT)

    return signalled


async def grouped(rig: Rig, jobs: Sequence[Job]) -> list[asyncio.Task[Answer]]:
    """Calls that a worker has as one."""
    async with gate(rig):
        calls = await waiting(rig, jobs)
    await until(lambda: sizes(rig)[len(jobs)])
    return calls


def test_a_deadline_ends_one_call_alone(rig: Rig, stop_at_groups: Callable[[int], None]) -> None:
    async def run() -> None:
        jobs = [job(rig, x(1, 1)), job(rig, x(1, 2), seconds=0.5)]
        on_time, late = await grouped(rig, jobs)
        with pytest.raises(DeadlineExceeded) as caught:
            await late
        assert caught.value.code == "deadline_exceeded"
        assert not on_time.done()
        stop_at_groups(signal.SIGCONT)
        same(await on_time, await rig.compute.call(replace(jobs[0], ports=())))

    rig.run(run())


def test_who_leaves_takes_nobody_along(rig: Rig, stop_at_groups: Callable[[int], None]) -> None:
    async def run() -> None:
        jobs = [job(rig, x(1, 1)), job(rig, x(1, 2))]
        stays, leaves = await grouped(rig, jobs)
        leaves.cancel()
        await asyncio.wait([leaves])
        stop_at_groups(signal.SIGCONT)
        same(await stays, await rig.compute.call(replace(jobs[0], ports=())))

    rig.run(run())


def test_what_nobody_waits_for_is_ended(rig: Rig, stop_at_groups: Callable[[int], None]) -> None:
    async def run() -> None:
        before = rig.compute.stats().killed
        jobs = [job(rig, x(1, 1)), job(rig, x(1, 2), seconds=0.3)]
        leaves, late = await grouped(rig, jobs)
        leaves.cancel()
        await asyncio.wait([leaves, late])
        # It does not listen, and is killed.
        await until(lambda: rig.compute.stats().killed == before + 1)
        await rig.works()

    rig.run(run())


def test_each_is_tried_once_more_where_the_worker_was_killed(
    rig: Rig, stop_at_groups: Callable[[int], None]
) -> None:
    async def run() -> None:
        before = rig.compute.stats().retries
        jobs = [job(rig, x(1, n)) for n in (1, 2, 3)]
        calls = await grouped(rig, jobs)
        stop_at_groups(signal.SIGKILL)
        for call, asked in zip(calls, jobs, strict=True):
            same(await call, await rig.compute.call(replace(asked, ports=())))
        assert rig.compute.stats().retries == before + 3
        assert sizes(rig) == {3: 1}  # each alone

    rig.run(run())


def test_memory_that_ran_out_is_no_fault_of_the_net(
    rig: Rig, stop_at_groups: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        jobs = [job(rig, x(1, n), options={"outputs": ["h"]}) for n in (1, 2)]
        calls = await grouped(rig, jobs)
        monkeypatch.setattr(rig.compute, "_memory_short", lambda: True)
        stop_at_groups(signal.SIGKILL)
        assert all(isinstance(one, Answer) for one in await asyncio.gather(*calls))
        assert not rig.compute._quarantine._records
        await together(rig, jobs)
        assert sizes(rig) == {2: 1}  # such calls go alone from now on

    rig.run(run())


def test_a_crash_is_that_of_one_call(rig: Rig) -> None:
    """The group crashes once; then who did it crashes alone, and the others are answered."""

    async def run() -> None:
        files = stored(rig.folder, DIVIDING)
        sent = [{"a": [6], "b": [3]}, hard_nets.FATAL, {"a": [8], "b": [2]}]
        jobs = [Job("evaluate", *files, data, ports=DIVIDED) for data in sent]
        first, fatal, last = await together(rig, jobs)
        assert sizes(rig) == {3: 1}
        assert isinstance(fatal, RunFailed)
        assert fatal.code == "worker_crashed"
        assert [one.outputs["y"].tolist() for one in (first, last)] == [[2], [4]]  # type: ignore[union-attr]
        assert rig.compute._quarantine._records[files[0], ""].crashes == 2
        rig.compute.release(files[0])

    rig.run(run())


def test_a_worker_answers_each_call() -> None:
    with pytest.raises(ValueError, match="1 answers to 2 calls"):
        messages.answers_of({"answers": [None], "joined": True}, 2)
    with pytest.raises(ValueError, match="Expected"):
        messages.answers_of({"answers": [{"outputs": 3}], "joined": True}, 1)
