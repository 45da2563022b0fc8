"""Quick calls that a worker gets in one message: each is answered as if it had come alone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from portgrad.api.bounds import bounds
from portgrad.compute.batching import Group
from portgrad.compute.jobs import Ready, Unread
from portgrad.errors import DeadlineExceeded, PortgradError, RunFailed
from portgrad.settings import Settings
from support import formats, hard_nets
from support.formats import JSON, NPZ, SAFETENSORS
from support.grouped import gate, one_worker, waiting
from support.hard_nets import stored
from support.pool_rig import Rig, until

BOUNDS = bounds(Settings(), lambda _: None)
# As many turns as the data say.
TURNS = """turns (int64[1] n, float[2] x) => (float[2] y) { t = Constant<value = bool {1}>()
    y = Loop<body = b (int64 i, bool c, float[2] s) => (bool c2, float[2] s2)
        { c2 = Identity(c) s2 = Add(s, s) }>(n, t, x) }"""
FOREVER = {"n": np.array([2**62]), "x": np.ones(2, np.float32)}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with one_worker(tmp_path_factory.mktemp("nets")) as rig:
        yield rig


@pytest.fixture
def groups(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many calls each message to a worker had, of those with several."""
    crew, seen = rig.compute._crew, []
    give = crew.give

    def giving(ticket: Any, link: Any) -> None:
        if isinstance(ticket, Group):
            seen.append(len(ticket.parts))
        give(ticket, link)

    monkeypatch.setattr(crew, "give", giving)
    return seen


def call(
    rig: Rig, arrays: dict[str, Any], text: str = TURNS, accept: str = SAFETENSORS, **more: Any
) -> Unread:
    owner = more.pop("owner", "")
    sent = formats.request(more.pop("form", SAFETENSORS), arrays, **more)
    body = sent["content"]
    return Unread(
        "evaluate",
        *stored(rig.folder, text),
        body.encode() if isinstance(body, str) else body,
        sent["headers"]["Content-Type"],
        sent.get("params", {}).get("options"),
        BOUNDS,
        accept,
        owner,
    )


def turns(count: int, start: float = 1.0) -> dict[str, Any]:
    return {"n": np.array([count]), "x": np.array([start, 2 * start], np.float32)}


async def warm(rig: Rig, *jobs: Unread) -> None:
    """Twice: the first call of a net is not quick."""
    for job in jobs * 2:
        await rig.compute.call(job)


async def together(rig: Rig, jobs: list[Unread]) -> list[Any]:
    async with gate(rig):
        calls = await waiting(rig, jobs)  # type: ignore[arg-type]
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("form", [SAFETENSORS, JSON])
def test_each_is_answered_as_if_it_came_alone(rig: Rig, groups: list[int], form: str) -> None:
    async def run() -> None:
        jobs = [call(rig, turns(n, n + 0.5), form=form) for n in range(3)]
        await warm(rig, jobs[0])
        alone = [await rig.compute.call(job) for job in jobs]
        found = await together(rig, jobs)
        assert groups == [3]
        for one, other in zip(found, alone, strict=True):
            assert isinstance(one, Ready)
            assert bytes(one.body) == bytes(other.body)
            assert one.timings.keys() == other.timings.keys()
        assert rig.compute.stats().batched == {}

    rig.run(run())


def test_who_is_at_fault_is_told_alone(rig: Rig, groups: list[int]) -> None:
    async def run() -> None:
        good, wrong = call(rig, turns(3)), call(rig, {"n": np.array([1])})
        await warm(rig, good)
        first, bad, last = await together(rig, [good, wrong, good])
        assert groups == [3]
        assert isinstance(bad, PortgradError)
        assert bad.code == "missing_port"
        assert bytes(first.body) == bytes(last.body)

    rig.run(run())


def test_one_that_is_not_quick_at_all_keeps_nobody(rig: Rig, groups: list[int]) -> None:
    """The others are answered soon; it has the time that it would have alone; then never again."""

    async def run() -> None:
        good = call(rig, turns(3), accept=NPZ)
        await warm(rig, good)
        start, killed = time.monotonic(), rig.compute.stats().killed
        async with gate(rig):
            jobs = [call(rig, FOREVER, accept=NPZ)._replace(seconds=1.0), good, good]
            long, *others = await waiting(rig, jobs)  # type: ignore[arg-type]
        with pytest.raises(DeadlineExceeded) as caught:
            await long
        assert caught.value.code == "deadline_exceeded"
        assert 0.9 < time.monotonic() - start < 2.0
        assert [bytes((await one).body) for one in others] == [
            bytes((await rig.compute.call(good)).body)
        ] * 2
        assert groups == [3]
        assert rig.compute.stats().killed == killed
        await together(rig, [good, good])
        assert groups == [3]

    rig.run(run())


def test_a_crash_is_that_of_one_call(rig: Rig, groups: list[int]) -> None:
    async def run() -> None:
        whole = [(6, 3), (-(2**31), -1), (8, 2)]
        jobs = [
            call(
                rig,
                {"a": np.array([a], np.int32), "b": np.array([b], np.int32)},
                hard_nets.DIVIDING,
            )
            for a, b in whole
        ]
        await warm(rig, jobs[0])
        first, fatal, last = await together(rig, jobs)
        assert groups == [3]
        assert isinstance(fatal, RunFailed)
        assert fatal.code == "worker_crashed"
        found = [formats.answer(SAFETENSORS, bytes(one.body))[0]["y"] for one in (first, last)]
        assert [y.tolist() for y in found] == [[2], [4]]
        assert rig.compute._quarantine._records[jobs[0].net_id, ""].crashes == 2
        rig.compute.release(jobs[0].net_id)

    rig.run(run())


def test_each_is_tried_once_more_where_the_worker_was_killed(
    rig: Rig, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        good = call(rig, turns(3))
        await warm(rig, good)
        crew, before = rig.compute._crew, rig.compute.stats().retries
        give = crew.give

        def killing(ticket: Any, link: Any) -> None:
            if isinstance(ticket, Group):
                os.kill(link.pid, signal.SIGKILL)
            give(ticket, link)

        monkeypatch.setattr(crew, "give", killing)
        found = await together(rig, [good] * 3)
        assert groups == [3]
        assert len({bytes(one.body) for one in found}) == 1
        assert rig.compute.stats().retries == before + 3

    rig.run(run())


def test_a_deadline_ends_one_call_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        good = call(rig, turns(3))
        await warm(rig, good)
        crew, stopped = rig.compute._crew, []
        give = crew.give

        def stopping(ticket: Any, link: Any) -> None:
            if isinstance(ticket, Group):
                os.kill(link.pid, signal.SIGSTOP)
                stopped.append(link.pid)
            give(ticket, link)

        monkeypatch.setattr(crew, "give", stopping)
        async with gate(rig):
            jobs = [good, good._replace(seconds=0.4)]
            on_time, late = await waiting(rig, jobs)  # type: ignore[arg-type]
        await until(lambda: stopped)
        with pytest.raises(DeadlineExceeded):
            await late
        assert not on_time.done()
        os.kill(stopped[0], signal.SIGCONT)
        assert isinstance(await on_time, Ready)

    rig.run(run())


ALONE: dict[str, dict[str, Any]] = {
    "of a net that was not called before": {"text": hard_nets.SQUARE},
    "of somebody else": {"owner": "ann"},
    "with other options": {"outputs": ["y"]},
    "in another format": {"accept": JSON},
    "in JSON": {"form": JSON},
    "in npz": {"form": NPZ},
}


@pytest.mark.parametrize("what", ALONE)
def test_what_goes_alone(rig: Rig, groups: list[int], what: str) -> None:
    async def run() -> None:
        good = call(rig, turns(3))
        await warm(rig, good)
        arrays = {"x": np.ones(2, np.float32)} if "text" in ALONE[what] else turns(3)
        other = call(rig, arrays, **ALONE[what])
        found = await together(rig, [good, other])
        assert [one for one in found if isinstance(one, Exception)] == []
        assert groups == []

    rig.run(run())


def test_a_deadline_in_the_body_is_kept(rig: Rig, groups: list[int]) -> None:
    async def run() -> None:
        good, endless = (call(rig, data, deadline=0.5) for data in (turns(3), FOREVER))
        await warm(rig, good)
        on_time, late = await together(rig, [good, endless])
        assert groups == [2]
        assert isinstance(late, DeadlineExceeded)
        assert isinstance(on_time, Ready)

    rig.run(run())
