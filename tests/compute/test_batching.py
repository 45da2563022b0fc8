"""Calls that wait together and run as one: who goes along, and that nobody pays for another.

A gate holds the only worker, so that what is called meanwhile waits, and forms groups surely.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from safetensors import deserialize

from portgrad.codecs.model import Answer, Format
from portgrad.compute import messages
from portgrad.compute.batching import Group
from portgrad.compute.jobs import Job, Ready
from portgrad.errors import DeadlineExceeded, InvalidRequest, RunFailed
from support import hard_nets
from support.hard_nets import stored
from support.pool_rig import Rig, rigged, until

LAYER = """layer (float[n,3] x) => (float[n,2] y) <float[3,2] w = {1.0, -2.0, 0.5, 3.0, 1.5, -1.0}>
    { h = MatMul(x, w) y = Tanh(h) }"""
PORTS = [{"name": "x", "shape": ["n", 3]}]
# Its examples never meet; the least int32 by -1 ends the process.
DIVIDING = hard_nets.DIVIDING
DIVIDED = [{"name": "a", "shape": [1]}, {"name": "b", "shape": [1]}]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rigged(tmp_path_factory.mktemp("nets"), workers=1, max_batch=8) as rig:
        yield rig


@pytest.fixture
def rig(shared: Rig) -> Rig:
    shared.compute._batches.sizes.clear()
    return shared


def job(rig: Rig, data: Any, kind: Any = "gradient", **more: Any) -> Job:
    options = {"wrt": "inputs", "stacked": False} if kind == "gradient" else {}
    options |= more.pop("options", {})
    files = stored(rig.folder, LAYER)
    return Job(kind, *files, data, options=options, ports=PORTS, **more)


def x(count: int, seed: int = 0) -> dict[str, Any]:
    return {"x": np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)}


@asynccontextmanager
async def gate(rig: Rig) -> AsyncIterator[None]:
    """Nobody else's job is begun meanwhile."""
    holding = rig.job(hard_nets.ENDLESS, [1.0, 2.0], owner="gate")
    call = asyncio.create_task(rig.compute.call(holding))
    await until(rig.busy)
    try:
        yield
    finally:
        call.cancel()


async def waiting(rig: Rig, jobs: Sequence[Job]) -> list[asyncio.Task[Answer]]:
    """Calls that wait for a worker."""
    calls = [asyncio.create_task(rig.compute.call(one)) for one in jobs]
    await until(lambda: rig.compute.stats().queued == len(jobs))
    return calls


async def together(rig: Rig, jobs: Sequence[Job]) -> list[Answer | BaseException]:
    """What comes of calls that all wait before the first is begun."""
    async with gate(rig):
        calls = await waiting(rig, jobs)
    return await asyncio.gather(*calls, return_exceptions=True)


def sizes(rig: Rig) -> Counter[int]:
    return Counter(rig.compute.stats().batched)


def same(found: Any, alone: Answer) -> None:
    """float32: a product of several rows is added up in another order than that of one."""
    for arrays, expected in [
        (found.derivatives, alone.derivatives),
        (found.outputs, alone.outputs),
    ]:
        assert list(arrays) == list(expected)
        for name, array in expected.items():
            assert (arrays[name].shape, arrays[name].dtype) == (array.shape, array.dtype)
            np.testing.assert_allclose(arrays[name], array, rtol=1e-5, atol=1e-6)
    assert found.about == alone.about
    assert found.timings.keys() == alone.timings.keys()


FORMS: dict[str, Callable[[Rig], list[Job]]] = {
    "gradients": lambda rig: [job(rig, x(count, count)) for count in (1, 2, 1)],
    "evaluations": lambda rig: [job(rig, x(n, n), "evaluate") for n in (1, 3, 1)],
    "outputs too": lambda rig: [job(rig, x(n, n), options={"outputs": ["y", "h"]}) for n in (1, 2)],
    "imposed": lambda rig: [
        job(rig, x(n, n), output_gradients={"y": np.full((n, 2), n, np.float32)}) for n in (1, 2)
    ],
    "classes": lambda rig: [
        job(rig, x(2, n), output_gradients={"y": {"index": n}}) for n in (0, 1)
    ],
    "lists": lambda rig: [job(rig, {"x": x(n, n)["x"].tolist()}) for n in (1, 2)],
    "bare": lambda rig: [job(rig, x(n, n)["x"]) for n in (1, 2)],
    "single examples": lambda rig: [job(rig, {"x": x(1, n)["x"][0]}) for n in (1, 2)],
    "by example": lambda rig: [
        job(rig, x(n, n), options={"wrt": "all", "reduction": "per_example"}) for n in (1, 2)
    ],
    "in double": lambda rig: [job(rig, x(n, n), options={"precision": "float64"}) for n in (1, 2)],
}


@pytest.mark.parametrize("form", FORMS)
def test_as_if_each_had_come_alone(rig: Rig, form: str) -> None:
    async def run() -> None:
        jobs = FORMS[form](rig)
        found = await together(rig, jobs)
        assert sizes(rig) == {len(jobs): 1}
        for one, asked in zip(found, jobs, strict=True):
            same(one, await rig.compute.call(replace(asked, ports=())))

    rig.run(run())


APART: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    # What two calls say that do not go together, and how many groups of one that makes.
    "kinds": ({}, {"kind": "evaluate"}, 2),
    "options": ({}, {"options": {"outputs": True}}, 2),
    "owners": ({"owner": "hers"}, {"owner": "his"}, 2),
    "names that are imposed at": ({}, {"output_gradients": {"y": np.float32(1)}}, 2),
    "dtypes": ({}, {"data": {"x": x(1)["x"].astype(np.float64)}}, 2),
    "ranks": ({}, {"data": {"x": x(1)["x"][0]}}, 2),
    "sizes": ({}, {"data": {"x": np.zeros((1, 4), np.float32)}}, 2),
    "parameters": ({}, {"parameters": {"w": np.ones((3, 2), np.float32)}}, 1),
    "stacks": ({}, {"options": {"stacked": True}}, 1),
    "diagnostics": ({}, {"options": {"diagnostics": True}}, 1),
    "a reading": ({}, {"options": {"batch": "as_is"}}, 1),
    "train mode": ({}, {"options": {"mode": "train"}}, 1),
    "means": ({}, {"options": {"reduction": "mean"}}, 1),
    "totals": ({}, {"options": {"wrt": "all"}}, 1),
    "a whole batch": ({}, {"data": x(8)}, 1),
    "no examples": ({}, {"data": x(0)}, 1),
    "large arrays": ({}, {"data": {"x": np.zeros((4, 70_000), np.float32)}}, 1),
    "a net that is not declared": ({}, {"ports": ()}, 1),
}


@pytest.mark.parametrize("what", APART)
def test_who_does_not_go_along(rig: Rig, what: str) -> None:
    async def run() -> None:
        first, second, groups = APART[what]
        ports = second.pop("ports", PORTS)
        jobs = [job(rig, **{"data": x(1), **first}), job(rig, **{"data": x(1), **second})]
        await together(rig, [jobs[0], replace(jobs[1], ports=ports)])
        assert sizes(rig) == {1: groups}

    rig.run(run())


def test_arrays_that_travel_in_blocks(rig: Rig) -> None:
    """And answers that the worker writes; so many go together as are 4 MiB."""

    async def run() -> None:
        files = stored(
            rig.folder, "long (float[n,200000] x) => (float[n,200000] y) { y = Mul(x, x) }"
        )
        ports = [{"name": "x", "shape": ["n", 200_000]}]
        sent = [np.full((1, 200_000), n, np.float32) for n in range(1, 7)]
        form = Format("application/x-safetensors", "lists")
        jobs = [Job("evaluate", *files, {"x": one}, ports=ports, answer_in=form) for one in sent]
        found = await together(rig, [*jobs[:-1], replace(jobs[-1], answer_in=None)])
        assert sizes(rig) == {5: 1, 1: 1}
        for index, one in enumerate(found[:-1], start=1):
            assert isinstance(one, Ready)
            (_, entry), *others = deserialize(bytes(one.body))
            assert not others
            assert set(np.frombuffer(entry["data"], np.float32)) == {index**2}
        assert isinstance(found[-1], Answer)
        assert (found[-1].outputs["y"] == 36).all()

    rig.run(run())


def test_calls_of_the_same_moment_find_a_free_worker_together(rig: Rig) -> None:
    async def run() -> None:
        await rig.works()
        jobs = [job(rig, x(1, n)) for n in range(3)]
        await asyncio.gather(*map(rig.compute.call, jobs))
        assert sizes(rig) == {3: 1}

    rig.run(run())


def test_as_many_examples_as_may_be(rig: Rig) -> None:
    async def run() -> None:
        found = await together(rig, [job(rig, x(count, count)) for count in (3, 4, 2, 1, 5, 2)])
        assert all(isinstance(one, Answer) for one in found)
        assert sizes(rig) == {3: 1, 2: 1, 1: 1}  # 3 + 4 + 1 of 8, then 2 + 5, then 2

    rig.run(run())


def test_what_is_never_joined_is_not_tried_again(rig: Rig) -> None:
    async def run() -> None:
        jobs = [job(rig, x(1, n), options={"wrt": ["w"]}) for n in (1, 2)]
        for expected in ({2: 1}, {2: 1}):
            for one, asked in zip(await together(rig, jobs), jobs, strict=True):
                same(one, await rig.compute.call(replace(asked, ports=())))
            assert sizes(rig) == expected

    rig.run(run())


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


def test_owners_take_turns_with_groups(rig: Rig) -> None:
    async def run() -> None:
        order: list[str] = []

        async def call(asked: Job) -> None:
            await rig.compute.call(asked)
            order.append(asked.owner)

        async with gate(rig):
            tasks = []
            for owner in ("hers", "hers", "his", "hers"):
                tasks.append(asyncio.create_task(call(job(rig, x(4), owner=owner))))
                await asyncio.sleep(0)
            await until(lambda: rig.compute.stats().queued == 4)
        await asyncio.gather(*tasks)
        assert order == ["hers", "hers", "his", "hers"]
        assert sizes(rig) == {2: 1, 1: 2}

    rig.run(run())
