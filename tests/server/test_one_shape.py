"""Whatever goes wrong, wherever it does: one shape, a request id, and nothing of what is inside."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import Boom, FakeCompute, fake_net
from support.formats import JSON, NPZ, SAFETENSORS
from support.served import Served, request, served

SECRET = "/srv/secret/net.onnx at 0x7f00deadbeef"
INSIDE = re.compile(
    r"/(tmp|usr|home|root|srv|proc|var)/|site-packages|Traceback|0x[0-9a-f]{6}|File \"|\.py\b|"
    r"\b(starlette|fastapi|uvicorn|uvloop|pydantic|httptools|orjson|msgspec|asyncio|threading|"
    r"python.multipart|zipfile|BadZipFile|zlib|binascii|ml_dtypes|SafetensorError|_io)\b",
    re.IGNORECASE,
)
SHAPE = {"type", "title", "status", "code", "detail", "request_id"}
MORE = {"where", "expected", "found", "remedy"}


class Broken:
    """Middleware that fails where it is asked to, outside of all that answers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("query_string") == b"break":
            raise Boom(SECRET)
        await self._app(scope, receive, send)


@pytest.fixture(scope="module")
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture(scope="module")
def server(compute: FakeCompute, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(max_body_bytes=5_000, max_upload_bytes=5_000)
    app = create_app(LocalStore(tmp_path_factory.mktemp("nets")), compute, settings)
    app.add_middleware(Broken)
    with served(app, settings) as running:
        assert running.ask(request("POST", "/nets?name=echo", fake_net())).status == 201
        yield running


def call(fmt: str, body: bytes) -> bytes:
    return request("POST", "/nets/echo/gradient", body, f"Content-Type: {fmt}")


def npz(member: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("input.npy", member)
    return file.getvalue()


DEFLATED = npz(b"\x93NUMPY" + bytes(range(200)))
FORM = "Content-Type: multipart/form-data; boundary=edge"
WRONG = {
    "no route": request(target="/nowhere"),
    "a route below": request(target="/healthz/more"),
    "another spelling": request(target="/Healthz"),
    "a slash more": request(target="/nets/"),
    "an asset": request(target="/docs/nothing.js"),
    "an asset elsewhere": request(target="/docs/..%2f..%2fetc%2fpasswd"),
    "up and away": request(target="/../../etc/passwd"),
    "up, encoded": request(target="/nets/%2e%2e/%2e%2e/etc/passwd"),
    "zero": request(target="/nets/%00"),
    "not UTF-8": request(target="/nets/%ff%fe"),
    "a surrogate": request(target="/nets/%ed%a0%80"),
    "an unfinished escape": request(target="/nets/%"),
    "a name of newlines": request(target="/nets/a%0d%0aSet-Cookie:%20a"),
    "a name of markup": request(target="/nets/%3Cscript%3E"),
    "a long name": request(target="/nets/" + "a" * 3000),
    "another method": request("PATCH", "/nets"),
    "a method nobody knows": request("PROPFIND", "/nets"),
    "TRACE": request("TRACE", "/nets"),
    "OPTIONS": request("OPTIONS", "/nets"),
    "OPTIONS of all": request("OPTIONS", "*"),
    "a wrong query": request(target="/nets?limit=many"),
    "a query twice": request(target="/nets?limit=1&limit=2"),
    "an unknown query": request(target="/nets?" + "a" * 5000 + "=1"),
    "no net": request(target="/nets/nothing"),
    "no file": request(target="/nets/echo/model?location=../../etc/passwd"),
    "no type": request("POST", "/nets/echo/gradient", b"{}"),
    "no JSON": call(JSON, b"{"),
    "JSON not UTF-8": call(JSON, b'{"\xff": 1}'),
    "no base64": call(JSON, b'{"data": {"dtype": "int8", "shape": [1], "data": "@"}}'),
    "a field of another type": call(JSON, b'{"data": [1], "wrt": [[1, {"a": null}]]}'),
    "no npz": call(NPZ, b"PK"),
    "an npz that is cut": call(NPZ, DEFLATED[:60]),
    "an npz that is spoilt": call(NPZ, DEFLATED[:50] + b"\xff\xff\xff" + DEFLATED[53:]),
    "an npz of no arrays": call(NPZ, npz(b"hello")),
    "an npy header": call(NPZ, npz(b"\x93NUMPY\1\0\x05\0{'a'(")),
    "no safetensors": call(SAFETENSORS, b"\x02\0\0\0\0\0\0\0{]"),
    "safetensors of nothing": call(SAFETENSORS, b""),
    "a long body": call(JSON, b" " * 5_001),
    "a compressed body": request(
        "POST", "/nets/echo/gradient", b"x", "Content-Encoding: gzip", f"Content-Type: {JSON}"),
    "no net at all": request("POST", "/nets", b"hello"),
    "a wrong name": request("POST", "/nets?name=../a", b"hello"),
    "no form": request("POST", "/nets", b"hello", FORM),
    "a form of nothing": request("POST", "/nets", b"--edge--", FORM),
    "a wrong part": request("POST", "/nets", b"--edge\r\na b: c\r\n\r\n\r\n--edge--", FORM),
    "nothing acceptable": request(
        "POST", "/nets/echo/gradient", b"{}", f"Content-Type: {JSON}", "Accept: text/html"),
    "no HTTP": b"hello\r\n\r\n",
    "a crash in middleware": request(target="/nets?break"),
}  # fmt: skip


def check(answer: Any) -> dict[str, Any]:
    assert answer.status >= 400
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = json.loads(answer.body)
    assert SHAPE <= told.keys() <= SHAPE | MORE
    assert told["status"] == answer.status
    assert told["type"] == "urn:portgrad:problem:" + told["code"]
    assert told["request_id"] == answer.headers["x-request-id"]
    assert len(answer.body) < 12_000
    said = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
    leak = INSIDE.search(said + json.dumps({k: v for k, v in told.items() if k != "found"}))
    assert leak is None, (leak, told)
    return told


@pytest.mark.parametrize("kind", WRONG)
def test_one_shape(server: Served, kind: str) -> None:
    told = check(server.ask(WRONG[kind]))
    # What came may be told again, shortened; what is inside may not.
    found = told.get("found", "")
    assert INSIDE.search(found) is None or found in WRONG[kind].decode("latin-1")
    assert ("crash" in kind) == (told["status"] == 500)


def test_a_crash_tells_nothing(server: Served, compute: FakeCompute) -> None:
    compute.error = Boom(SECRET)
    try:
        told = check(server.ask(call(JSON, b'{"data": [1]}')))
    finally:
        compute.error = None
    assert (told["status"], told["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(told)


@pytest.mark.parametrize("target", ["/nets", "/nowhere", "/healthz", "/docs"])
def test_head_has_no_body(server: Served, target: str) -> None:
    wire = server.wire(request("HEAD", target))
    answer = wire.answer(head=True)
    assert answer.headers["x-request-id"]
    # What follows is the next answer, not a body.
    assert wire.send(request()).answer().status == 200


def test_a_request_id_is_taken_where_it_is_sane(server: Served) -> None:
    own = "X-Request-Id: mine-1"
    assert server.ask(request("GET", "/nowhere", b"", own)).headers["x-request-id"] == "mine-1"
    for bad in ("X-Request-Id: a b", "X-Request-Id: " + "a" * 500, "X-Request-Id: <script>"):
        given = server.ask(request("GET", "/nowhere", b"", bad)).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", given)
