"""Calls on a batchable net whose bodies their worker reads: headers tell what goes together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from portgrad.api.bounds import bounds
from portgrad.compute import reading
from portgrad.compute.jobs import Ready, Unread
from portgrad.errors import LimitExceeded, PortgradError
from portgrad.settings import Settings
from support import formats
from support.formats import JSON, SAFETENSORS
from support.grouped import LAYER, PORTS, job, sizes, together, x
from support.hard_nets import stored
from support.pool_rig import Rig

BOUNDS = bounds(Settings(), lambda _: None)


def unread(rig: Rig, arrays: dict[str, Any], kind: Any = "gradient", **more: Any) -> Unread:
    body = more.pop("body", None) or formats.to_safetensors(arrays)
    files = stored(rig.folder, LAYER)
    media_type, accept = more.pop("media_type", SAFETENSORS), more.pop("accept", SAFETENSORS)
    query = more.pop("query", None)
    return Unread(kind, *files, body, media_type, query, BOUNDS, accept, ports=PORTS, **more)


@pytest.mark.parametrize("kind", ["gradient", "evaluate"])
def test_as_if_each_had_come_alone(rig: Rig, kind: Any) -> None:
    async def run() -> None:
        calls = [unread(rig, x(n, n), kind) for n in (1, 3, 2)]
        found = await together(rig, calls)
        assert sizes(rig) == {3: 1}
        for n, one in zip((1, 3, 2), found, strict=True):
            assert isinstance(one, Ready)
            assert {"decode", "run", "encode", "queue"} <= one.timings.keys()
            read, _ = formats.answer(SAFETENSORS, bytes(one.body))
            alone = await rig.compute.call(replace(job(rig, x(n, n), kind), ports=()))
            arrays = {**alone.outputs, **{f"grad/{p[0]}": a for p, a in alone.derivatives.items()}}
            assert read.keys() == arrays.keys()
            for name, array in arrays.items():
                np.testing.assert_allclose(read[name], array, rtol=1e-5, atol=1e-6)

    rig.run(run())


def test_one_that_is_refused_is_refused_alone(rig: Rig) -> None:
    async def run() -> None:
        few = BOUNDS._replace(elements=6)
        calls = [unread(rig, x(n, n))._replace(bounds=few) for n in (1, 3, 2)]
        one, refused, other = await together(rig, calls)
        assert sizes(rig) == {3: 1}
        assert isinstance(one, Ready)
        assert isinstance(other, Ready)
        with pytest.raises(PortgradError) as alone:
            await rig.compute.call(calls[1]._replace(ports=()))
        assert isinstance(refused, LimitExceeded)
        assert refused.fields() == alone.value.fields()
        # It is no reason not to try such calls together again.
        await together(rig, calls[:1] * 2)
        assert sizes(rig) == {3: 1, 2: 1}

    rig.run(run())


def test_all_that_are_refused(rig: Rig) -> None:
    async def run() -> None:
        none = BOUNDS._replace(elements=0)
        found = await together(rig, [unread(rig, x(n, n))._replace(bounds=none) for n in (1, 2)])
        assert [type(one) for one in found] == [LimitExceeded] * 2

    rig.run(run())


APART: dict[str, dict[str, Any]] = {
    "kinds": {"kind": "evaluate"},
    "formats of the answer": {"accept": JSON},
    "dtypes": {"arrays": {"x": x(1)["x"].astype(np.float64)}},
    "ranks": {"arrays": {"x": x(1)["x"][0]}},
    "owners": {"owner": "hers"},
}


@pytest.mark.parametrize("what", APART)
def test_who_does_not_go_along(rig: Rig, what: str) -> None:
    async def run() -> None:
        await together(rig, [unread(rig, x(1)), unread(rig, **{"arrays": x(1), **APART[what]})])
        assert sizes(rig) == {1: 2}

    rig.run(run())


HIDDEN: dict[str, dict[str, Any]] = {
    # What the HTTP process reads, as it cannot be known otherwise what it may go along with.
    "options": {"query": '{"wrt": "inputs"}'},
    "JSON": {"body": b'{"data": [[1, 2, 3]]}', "media_type": JSON},
    "what is imposed": {"arrays": x(1) | {"seed/y": np.ones((1, 2), np.float32)}},
    "a long header": {"body": formats.to_safetensors(x(1), {"about": "x" * 5000})},
    "a body that is none": {"body": b"{}"},
    "a large one": {"arrays": {"x": np.zeros((10_000, 3), np.float32)}},
}


@pytest.mark.parametrize("what", HIDDEN)
def test_what_a_header_does_not_tell(rig: Rig, what: str) -> None:
    call = unread(rig, **{"arrays": x(1), **HIDDEN[what]})
    assert reading.hides_shapes(call)
    assert not reading.hides_shapes(call._replace(ports=()))
    assert not reading.hides_shapes(unread(rig, x(1)))
