"""Bodies that cost far more than they weigh, where something is done for each pair of their parts.

Each is read, or refused, in about the time that it takes to look at its bytes once. The bound is
many times that, and far below what a quadratic step takes.
"""

from __future__ import annotations

import io
import json
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from portgrad.api.app import create_app
from portgrad.errors import RunFailed
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.formats import JSON, NPZ, SAFETENSORS
from support.http import AppClient, serving
from torture.bombs.bodies import lying_npz

MANY = 200_000
SECONDS = 3.0  # of this process; a second or so is what the slowest takes on a busy machine


@pytest.fixture
def http(store: LocalStore, compute: FakeCompute) -> Iterator[AppClient]:
    with serving(create_app(store, compute, Settings())) as client:
        client.post("/nets?name=echo", content=fake_net())
        compute.error = RunFailed("The call came through.")
        yield client


def data(value: Any, **more: Any) -> bytes:
    return json.dumps({"data": value, **more}).encode()


def members(count: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for index in range(count):
            archive.writestr(zipfile.ZipInfo(str(index)), b"")
    return file.getvalue()


def unfolding(size: int) -> bytes:
    member, file = io.BytesIO(), io.BytesIO()
    np.save(member, np.zeros(size, np.uint8))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("input.npy", member.getvalue())
    return file.getvalue()


def tensors(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


EMPTY = b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
BOMBS = {
    "sizes": (JSON, data({"dtype": "int8", "shape": [2**62] * MANY, "data": ""}), "invalid_array"),
    "escapes": (JSON, data({"\\" * MANY: [1]}), "run_failed"),
    "escaped colons": (JSON, data({"a": [":"] * MANY}, of=["\u003a"]), "run_failed"),
    "a key of escaped quotes": (JSON, data({'"' * MANY: [1]}), "run_failed"),
    "digits": (JSON, b'{"data": ' + b"1" * MANY + b"}", "invalid_json"),
    "digits after a point": (JSON, b'{"data": 0.' + b"1" * MANY + b"}", "run_failed"),
    "brackets": (JSON, b"[" * MANY, "json_too_deep"),
    "lists": (JSON, data([[]] * MANY), "run_failed"),
    "twice, late": (JSON, data([":"] * MANY)[:-1] + b', "data": 1}', "invalid_json"),
    "bare, late": (JSON, b'{"data": [' + b"1," * MANY + b"NaN]}", "invalid_json"),
    "keys": (JSON, data(dict.fromkeys(map(str, range(MANY)), 1)), "too_many_arrays"),
    "unknown fields": (JSON, data([1], **dict.fromkeys(map(str, range(MANY)))), "too_many_arrays"),
    "fields": (JSON, data([1], **dict.fromkeys(map(str, range(17_000)))), "unknown_field"),
    "targets": (JSON, data([1], wrt=[1] * MANY), "invalid_field"),
    "targets of targets": (JSON, data([1], wrt=[[1] * MANY]), "invalid_field"),
    "names": (JSON, data([1], wrt=["x"] * MANY), "invalid_field"),
    "a name": (JSON, data([1], **{"w" * MANY: 1}), "unknown_field"),
    "base64": (JSON, data({"dtype": "int8", "shape": [1], "data": "=" * MANY}), "invalid_array"),
    "members": (NPZ, members(5_000), "too_many_arrays"),
    "zeros": (NPZ, unfolding(300 * 2**20), "body_too_large"),
    "tensors": (
        SAFETENSORS,
        tensors(b"{" + b",".join(b'"%d":%s' % (i, EMPTY) for i in range(MANY // 10)) + b"}"),
        "too_many_arrays",
    ),
    "metadata": (SAFETENSORS, tensors(b" " * (5 * 2**20)), "header_too_large"),
    "a tensor of many sizes": (
        SAFETENSORS,
        tensors(b'{"input":{"dtype":"F32","shape":[%s0],"data_offsets":[0,0]}}' % (b"1," * MANY)),
        "invalid_array",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_read_or_refused_in_little_time(http: AppClient, bomb: str) -> None:
    fmt, body, code = BOMBS[bomb]
    before = time.process_time()
    answer = http.post("/nets/echo/gradient", content=body, headers={"Content-Type": fmt})
    spent = time.process_time() - before
    assert answer.json()["code"] == code, answer.text
    assert len(answer.content) < 20_000
    assert spent < SECONDS


def test_a_member_unfolds_to_no_more_than_it_says(http: AppClient) -> None:
    body = lying_npz(64)
    tracemalloc.start()
    answer = http.post("/nets/echo/gradient", content=body, headers={"Content-Type": NPZ})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_npz")
    assert peak < 16 * 2**20, "64 MiB were unfolded to look at a hundred bytes"


def test_keys_are_counted_before_they_are_made(http: AppClient) -> None:
    body = data(dict.fromkeys(map(str, range(MANY)), 1))
    tracemalloc.start()
    answer = http.post("/nets/echo/gradient", content=body, headers={"Content-Type": JSON})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.json()["found"] == f"{MANY + 1} keys"
    assert peak < 4 * len(body)


QUERIES = {
    "options": "options=" + "[" * 60_000,
    "other names": "&".join(f"a{i}=1" for i in range(8_000)),
    "one name": "options=1&" * 6_000,
}


@pytest.mark.parametrize("query", QUERIES)
def test_queries_too(http: AppClient, query: str) -> None:
    before = time.process_time()
    for path in ("/nets/echo/gradient", "/nets"):
        answer = http.post(
            f"{path}?{QUERIES[query]}", content=b"", headers={"Content-Type": SAFETENSORS}
        )
        assert 400 <= answer.status_code < 500
    assert time.process_time() - before < SECONDS


def test_headers_too(http: AppClient) -> None:
    before = time.process_time()
    headers = {"Content-Type": JSON, "Accept": "text/html;q=0.1," * 4_000}
    answer = http.post("/nets/echo/gradient", content=data([1]), headers=headers)
    assert answer.status_code == 406
    assert time.process_time() - before < SECONDS
