"""Calls that wait together and run as one: who goes along, and finds what it finds alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from safetensors import deserialize

from portgrad.codecs.model import Answer, Format
from portgrad.compute.jobs import Job, Ready
from support.grouped import PORTS, gate, job, same, sizes, together, x
from support.hard_nets import stored
from support.pool_rig import Rig, until

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
