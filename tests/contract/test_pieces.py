"""Large answers are written in pieces: the same text, never as a whole in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import orjson
import pytest
from safetensors import deserialize

from portgrad.api.app import create_app
from portgrad.codecs import json, pieces, safetensors
from portgrad.codecs.model import Answer, Encoding, Kind
from portgrad.compute import reading
from portgrad.errors import InvalidRequest
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.formats import JSON, SAFETENSORS, request
from support.http import AppClient, serving


def numbers(*shape: int, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).normal(0, 50, shape).astype(dtype)


HOLED = np.round(numbers(3, 7))  # beside a NaN, others have all digits of a double
HOLED[1, 2:5] = np.nan, np.inf, -np.inf
VALUES: dict[str, Any] = {
    "scalar": numbers(),
    "empty": numbers(0, 4),
    "few": numbers(2, 3),
    "long": numbers(29),
    "rows": numbers(11, 3),
    "long rows": numbers(3, 11),
    "deep": numbers(2, 3, 1, 13),
    "transposed": numbers(7, 5).T,
    "holes": HOLED,
    "half": numbers(4, 9, dtype=np.float16),
    "brain": numbers(4, 9, dtype=ml_dtypes.bfloat16),
    "whole": numbers(4, 9, dtype=np.int64),
    "truth": numbers(4, 9) > 0,
    "words": np.array([["ä", '"', "c" * 40]] * 9, object),
    "sequence": [numbers(3, 5), numbers(), np.array(["x"], object)],
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_ELEMENTS", 8)
    monkeypatch.setattr(pieces, "_BASE64_BYTES", 12)
    monkeypatch.setattr(pieces, "_LEAST_BYTES", 50)
    monkeypatch.setattr(reading, "SMALL", 100_000)
    monkeypatch.setattr(reading, "MOST_TEXT", 10_000)


@pytest.mark.parametrize("encoding", ["lists", "base64"])
@pytest.mark.parametrize("kind", ["gradient", "jacobian"])
@pytest.mark.parametrize("name", VALUES)
def test_the_text_is_the_same(name: str, kind: Kind, encoding: Encoding) -> None:
    value = VALUES[name]
    array = value if isinstance(value, np.ndarray) else numbers(2)
    place = ("y", "x") if kind == "jacobian" else ("x",)
    about = {"targets": ["x"], "none": [], "warnings": ["Mind."]}
    answer = Answer({"y": value, "z": value}, {place: array}, about)
    whole = json.encode(answer, kind, encoding)
    parts = list(json.encode_pieces(answer, kind, encoding))
    assert b"".join(parts) == whole
    assert len(parts) > len(whole) // 500


def test_what_lists_cannot_hold_is_refused_before_anything_is_sent() -> None:
    for value in (numbers(2, dtype=np.complex64), [numbers(2), numbers(2, dtype=np.complex64)]):
        with pytest.raises(InvalidRequest, match="cannot carry complex64"):
            json.encode_pieces(Answer({"y": value}), "evaluate", "lists")


@pytest.mark.parametrize("kind", ["gradient", "jacobian"])
def test_a_file_in_pieces_is_read_as_the_library_s(kind: Kind) -> None:
    kinds = ("few", "scalar", "empty", "transposed", "half", "brain", "whole", "truth")
    arrays = {name: VALUES[name] for name in kinds}
    place = ("y", "x") if kind == "jacobian" else ("x",)
    answer = Answer({**arrays, "zz": numbers(50)}, {place: numbers(3)}, {"targets": ["ü"]})
    whole = safetensors.CODEC.encode(answer, kind, "lists")
    assert safetensors.CODEC.pieces is not None
    parts = list(safetensors.CODEC.pieces(answer, kind, "lists"))
    assert len(parts) == 1 + len(arrays) + 2  # the header, and each array as it lies in memory
    assert dict(deserialize(b"".join(parts))) == dict(deserialize(whole))
    assert header(b"".join(parts)) == header(whole)


def header(file: bytes) -> Any:
    return orjson.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])["__metadata__"]


HELD = 100_000


@pytest.fixture
def http(tmp_path: Path) -> Iterator[AppClient]:
    settings = Settings(max_held_bytes=HELD, max_requests=10, auth="none")
    with serving(create_app(LocalStore(tmp_path), FakeCompute(), settings)) as client:
        client.post("/nets?name=echo", content=fake_net())
        yield client


def asked(values: int, wanted: str) -> dict[str, Any]:
    call = request(SAFETENSORS, {"input": np.arange(values, dtype=np.float32)})
    call["headers"]["Accept"] = wanted
    return call


def test_a_large_answer_is_held_until_it_is_sent(http: AppClient) -> None:
    async def run() -> None:
        scope_app, held = http.app, http.app.state.service.admission
        reading = asyncio.Event()
        sent: list[bytes] = []
        call = asked(15_000, JSON)
        incoming = [{"type": "http.request", "body": call["content"]}]

        async def receive() -> Any:
            return incoming.pop() if incoming else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))
            if len(sent) == 3:
                await reading.wait()

        headers = [(k.lower().encode(), v.encode()) for k, v in call["headers"].items()]
        scope = {
            "type": "http", "method": "POST", "path": "/nets/echo/gradient", "query_string": b"",
            "headers": [*headers, (b"host", b"localhost")], "http_version": "1.1",
        }  # fmt: skip
        task = asyncio.create_task(scope_app(scope, receive, send))
        while len(sent) < 3:
            await asyncio.sleep(0.001)
        assert 60_000 <= held.held < HELD
        # Another large one does not fit beside it, and small ones always do.
        answer = await http._http.post("/nets/echo/gradient", **asked(15_000, JSON))
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        answer = await http._http.post("/nets/echo/gradient", **asked(100, JSON))
        assert answer.status_code == 200
        reading.set()
        await task
        assert held.held == 0
        answer = await http._http.post("/nets/echo/gradient", **asked(15_000, JSON))
        assert answer.json()["gradients"]["input"] == list(range(15_000))
        assert answer.content == b"".join(sent)

    http.run(run())
