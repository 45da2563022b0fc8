"""Calls whose bodies are read, and answers that are written, by the workers that run them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from portgrad.api.bounds import bounds
from portgrad.compute.jobs import Ready, Unread
from portgrad.errors import DeadlineExceeded, LimitExceeded, Malformed, PortgradError
from portgrad.settings import Settings
from support import formats, hard_nets
from support.formats import FORMATS, JSON, NPZ, SAFETENSORS
from support.hard_nets import stored
from support.pool_rig import Rig, rigged

BOUNDS = bounds(Settings(max_elements=100_000, max_arrays=3, max_json_depth=8), lambda _: None)
NUMBERS = np.random.default_rng(0).normal(size=50_000).astype(np.float32)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rigged(tmp_path_factory.mktemp("nets")) as rig:
        yield rig


def unread(rig: Rig, text: str, sent: dict[str, Any], accept: str = JSON) -> Unread:
    body, media_type = sent["content"], sent["headers"]["Content-Type"]
    return Unread(
        "evaluate",
        *stored(rig.folder, text),
        body.encode() if isinstance(body, str) else body,
        media_type,
        sent.get("params", {}).get("options"),
        BOUNDS,
        accept,
    )


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format(rig: Rig, fmt: str, accept: str) -> None:
    sent = formats.request(fmt, {"x": NUMBERS}, encoding="base64")
    answer = rig.run(rig.compute.call(unread(rig, hard_nets.SQUARE, sent, accept)))
    assert isinstance(answer, Ready)
    assert {"decode", "run", "encode", "queue"} <= answer.timings.keys()
    found, rest = formats.answer(accept, bytes(answer.body))
    np.testing.assert_array_equal(found["y"], NUMBERS * NUMBERS)
    assert rest["warnings"] == []


def test_lists(rig: Rig) -> None:
    sent = {"content": json.dumps({"data": NUMBERS.tolist()}), "headers": {"Content-Type": JSON}}
    answer = rig.run(rig.compute.call(unread(rig, hard_nets.SQUARE, sent)))
    found = np.array(json.loads(bytes(answer.body))["outputs"]["y"], np.float32)
    np.testing.assert_array_equal(found, NUMBERS * NUMBERS)


@pytest.mark.parametrize("accept", FORMATS)
def test_what_is_small_is_written_there_too(rig: Rig, accept: str) -> None:
    sent = formats.request(JSON, {"x": NUMBERS[:3]}, encoding="base64")
    answer = rig.run(rig.compute.call(unread(rig, hard_nets.SQUARE, sent, accept)))
    found, _ = formats.answer(accept, bytes(answer.body))
    np.testing.assert_array_equal(found["y"], NUMBERS[:3] ** 2)


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_deadline_counts_though_a_worker_has_to_read_it(rig: Rig, fmt: str) -> None:
    sent = formats.request(fmt, {"x": np.ones(2, np.float32)}, deadline=0.5)
    job = unread(rig, hard_nets.ENDLESS, sent)
    assert 0.5 <= rig.run(rig.fails(job, DeadlineExceeded, "deadline_exceeded")) < 1.5
    rig.run(rig.works())


def body(fmt: str, content: bytes) -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": fmt}}


BAD: list[tuple[dict[str, Any], type[PortgradError], str]] = [
    (body(JSON, b"{" * 100), LimitExceeded, "json_too_deep"),
    (body(JSON, b'{"data": [1,]}'), Malformed, "invalid_json"),
    (body(JSON, b'{"data": [' + b"1," * 100_000 + b"1]}"), LimitExceeded, "too_many_elements"),
    (body(SAFETENSORS, b"\xff" * 9), Malformed, "invalid_safetensors"),
    (body(NPZ, b"PK"), Malformed, "invalid_npz"),
    (formats.request(SAFETENSORS, {"z": NUMBERS}), PortgradError, "unknown_port"),
    (formats.request(NPZ, {"x": NUMBERS[:100], "y": NUMBERS[:1]}), PortgradError, "unknown_port"),
    (formats.request(JSON, {"z": NUMBERS}), PortgradError, "unknown_port"),
]


@pytest.mark.parametrize(("sent", "kind", "code"), BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_told_and_harms_no_worker(
    rig: Rig, sent: dict[str, Any], kind: type[PortgradError], code: str
) -> None:
    async def run() -> None:
        before = {worker.pid for worker in rig.compute.stats().workers}
        await rig.fails(unread(rig, hard_nets.SQUARE, sent), kind, code)
        assert {worker.pid for worker in rig.compute.stats().workers} == before

    rig.run(run())
