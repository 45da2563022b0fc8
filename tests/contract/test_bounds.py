"""What a call may be: each limit at its last good value, and one beyond, in each format."""

from __future__ import annotations

import gc
import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from portgrad.api.app import create_app
from portgrad.api.bounds import bounds
from portgrad.codecs import json as json_codec
from portgrad.codecs.marks import COLONS, COMMAS, depth, marks
from portgrad.codecs.model import Known
from portgrad.errors import RunFailed
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.formats import FORMATS, JSON, NPZ, SAFETENSORS, request
from support.http import AppClient, serving

pytestmark = pytest.mark.usefixtures("way")

ARRAYS, ELEMENTS, DEPTH = 3, 12, 8
PORTS = tuple(f"x{i}" for i in range(ARRAYS + 1))


@pytest.fixture
def http(store: LocalStore, compute: FakeCompute) -> Iterator[AppClient]:
    settings = Settings(
        max_arrays=ARRAYS,
        max_elements=ELEMENTS,
        max_json_depth=DEPTH,
        max_body_bytes=100_000,
        max_json_bytes=50_000,
    )
    with serving(create_app(store, compute, settings)) as client:
        client.post("/nets?name=echo", content=fake_net(*PORTS))
        yield client


def send(http: AppClient, fmt: str, body: Any) -> tuple[int, str]:
    content = body if isinstance(body, bytes) else body.encode()
    answer = http.post("/nets/echo/gradient", content=content, headers={"Content-Type": fmt})
    return answer.status_code, answer.json()["code"] if answer.status_code != 200 else ""


def ones(count: int, size: int) -> dict[str, np.ndarray[Any, Any]]:
    return {f"x{i}": np.ones(size, np.float32) for i in range(count)}


LIMITED = [
    (ARRAYS, 2, 200, ""),
    (ARRAYS + 1, 2, 413, "too_many_arrays"),
    (ARRAYS, ELEMENTS // ARRAYS, 200, ""),
    (1, ELEMENTS, 200, ""),
    (1, ELEMENTS + 1, 413, "too_many_elements"),
    (2, ELEMENTS // 2 + 1, 413, "too_many_elements"),
]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(("count", "size", "status", "code"), LIMITED)
def test_arrays_and_elements(
    *, http: AppClient, fmt: str, count: int, size: int, status: int, code: str
) -> None:
    answer = http.post("/nets/echo/gradient", **request(fmt, ones(count, size)))
    assert (answer.status_code, answer.json()["code"] if code else "") == (status, code)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (list(range(ELEMENTS)), 200, ""),
        (list(range(ELEMENTS + 1)), 413, "too_many_elements"),
        ([[1] * 6] * 2, 200, ""),
        ([[1] * 7] * 2, 413, "too_many_elements"),
        ({"x0": [1] * 6, "x1": [1] * 6}, 200, ""),
        ({"x0": [1] * 6, "x1": [1] * 7}, 413, "too_many_elements"),
        ({name: [1] for name in PORTS}, 413, "too_many_arrays"),
        ([1, {"a": ",,,,,,,,,,,,,"}], 200, ""),
    ],
)
def test_lists(http: AppClient, compute: FakeCompute, data: Any, status: int, code: str) -> None:
    compute.error = RunFailed("The call came through.")
    body = json.dumps({"data": data})
    assert send(http, JSON, body) == ((status, code) if code else (422, "run_failed"))


@pytest.mark.parametrize("levels", [DEPTH - 1, DEPTH])
@pytest.mark.parametrize("spaced", ["", " \n", '"[[[[[[[[[[", '])
def test_depth(http: AppClient, compute: FakeCompute, levels: int, spaced: str) -> None:
    compute.error = RunFailed("The call came through.")
    body = '{"data": ' + f"[{spaced}" * levels + "1" + "]" * levels + "}"
    deep = levels == DEPTH
    assert send(http, JSON, body) == ((413, "json_too_deep") if deep else (422, "run_failed"))


def test_a_query_may_be_no_deeper(http: AppClient) -> None:
    options = '{"wrt": ' + "[" * DEPTH + "]" * DEPTH + "}"
    sent = request(NPZ, ones(1, 1)) | {"params": {"options": options}}
    answer = http.post("/nets/echo/gradient", **sent)
    assert (answer.status_code, answer.json()["code"]) == (413, "json_too_deep")


@pytest.mark.parametrize(("size", "code"), [(50_000, "invalid_json"), (50_001, "body_too_large")])
def test_json_has_a_limit_of_its_own(http: AppClient, size: int, code: str) -> None:
    assert send(http, JSON, b" " * size)[1] == code
    assert send(http, NPZ, b" " * size)[1] == "invalid_npz"


TEXTS = [
    ('{"a": [1, "[,:", {"b": []}]}', 4, 2, 2),
    (r'{"a\"[": "\\", "b": ["\\\"]"]}', 2, 2, 1),
    (r'{"\\\\": "]:,\u003a"}', 1, 1, 0),
    ("[[],[]]", 2, 0, 1),
    ("", 0, 0, 0),
    ('"unended [', 0, 0, 0),
]


@pytest.mark.parametrize(("text", "deep", "colons", "commas"), TEXTS)
def test_marks(text: str, deep: int, colons: int, commas: int) -> None:
    body = text.encode()
    assert depth(body) == deep
    assert (marks(body, COLONS).size, marks(body, COMMAS).size) == (colons, commas)


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        (r'{"data": [1], "wrt": ["a:b"], "wrt": []}', True),
        (r'{"data": [1], "wrt": ["a:b"], "of": []}', False),
        (r'{"data": [1], "w\u0072t": [], "wrt": []}', True),
        (r'{"data": {"\u003a": [1], ":": [2]}}', True),
        (r'{"data": {"\u003a": [1], "\\u003a": [2]}}', False),
        (r'{"data": [{"a": 1, "a": 2}]}', True),
        (r'{"data": [{"a": 1, "b": ":"}]}', False),
    ],
)
def test_keys_that_stand_twice(http: AppClient, text: str, twice: bool) -> None:
    assert (send(http, JSON, text) == (400, "invalid_json")) == twice


def pressed(*names: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    member = io.BytesIO()
    np.save(member, np.ones(1, np.float32))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), member.getvalue(), method)
    return file.getvalue()


def flagged(body: bytes) -> bytes:
    """The same members, said to be encrypted in both places that say so."""
    local, listed = body.index(b"PK\x03\x04"), body.index(b"PK\x01\x02")
    changed = bytearray(body)
    changed[local + 6] |= 1
    changed[listed + 8] |= 1
    return bytes(changed)


FOREIGN = [
    (pressed("x0.npy"), 200, ""),
    (pressed("x0.npy", method=zipfile.ZIP_BZIP2), 400, "invalid_npz"),
    (pressed("x0.npy", method=zipfile.ZIP_LZMA), 400, "invalid_npz"),
    (flagged(pressed("x0.npy")), 400, "invalid_npz"),
    (pressed(*(f"x{i}.npy" for i in range(5))), 413, "too_many_arrays"),
    (pressed("x0.npy") + b"PK\x01\x02" * 9, 413, "too_many_arrays"),
]


@pytest.mark.parametrize(("body", "status", "code"), FOREIGN)
def test_members_of_npz(http: AppClient, body: bytes, status: int, code: str) -> None:
    assert send(http, NPZ, body) == (status, code)


def tensors(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def entry(shape: str, end: int, start: int = 0) -> str:
    return f'{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}'


def named(*entries: str) -> bytes:
    return ("{" + ",".join(f'"x{i}":{e}' for i, e in enumerate(entries)) + "}").encode()


HEADERS = [
    (tensors(named(entry("[1]", 4)), b"\0" * 4), 200, ""),
    (tensors(named(*[entry("[0]", 0)] * 4)), 413, "too_many_arrays"),
    (tensors(b'{"__metadata__":{"a":"' + b"b" * 4000 + b'"}}'), 413, "header_too_large"),
    (b"\xff" * 8 + b"{}", 400, "invalid_safetensors"),
    (tensors(named(entry("[1]", 4), entry("[1]", 6, 2)), b"\0" * 6), 400, "invalid_safetensors"),
    (tensors(named(entry("[1]", 4), entry("[1]", 4)), b"\0" * 4), 400, "invalid_safetensors"),
    (tensors(named(entry(f"[{2**63}]", 4)), b"\0" * 4), 400, "invalid_safetensors"),
    (tensors(named(entry(f"[{2**64}]", 4)), b"\0" * 4), 400, "invalid_safetensors"),
    (tensors(named(entry("[" + "1," * 64 + "0]", 0))), 400, "invalid_array"),
]


@pytest.mark.parametrize(("body", "status", "code"), HEADERS)
def test_headers_of_safetensors(http: AppClient, body: bytes, status: int, code: str) -> None:
    assert send(http, SAFETENSORS, body) == (status, code)


@pytest.mark.parametrize("text", ["[]", "1", "[1,2]", "0.5"])
def test_lists_are_held_as_what_they_take_in_memory(text: str) -> None:
    held: list[int] = []
    body = ('{"data": [' + ",".join([text] * 50_000) + "]}").encode()
    tracemalloc.start()
    try:
        call = json_codec.decode(body, None, "evaluate", Known(), bounds(Settings(), held.append))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert call.data
    assert taken <= sum(held) < taken * 6
    assert gc.isenabled()
