"""Uploads, names, lists and downloads. What is refused leaves the store as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.http import AppClient

from .conftest import MAX_UPLOAD

ONE, OTHER = fake_net(), fake_net(note="another")


def net_id(model: bytes, **external: bytes) -> str:
    hashes = {name: hashlib.sha256(part).hexdigest() for name, part in external.items()}
    manifest = [hashlib.sha256(model).hexdigest(), *([n, hashes[n]] for n in sorted(hashes))]
    return hashlib.sha256(json.dumps(manifest, separators=(",", ":")).encode()).hexdigest()


def kept(store: LocalStore, data: Path) -> list[str]:
    """The ids of all nets, once it is sure that no upload was left lying about."""
    assert not list((data / "staging").iterdir())
    return store.of("local").page(None, 100)[0]


def names_of(http: AppClient, net: str) -> list[str]:
    found: list[str] = http.get(f"/nets/{net}").json()["names"]
    return found


@pytest.mark.parametrize(
    "kind",
    ["application/octet-stream", "application/x-onnx", "application/x-protobuf",
     "Application/X-ONNX; v=1", None],
)  # fmt: skip
def test_upload_bytes(http: AppClient, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = http.post("/nets", content=ONE, headers=headers)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/nets/{net_id(ONE)}"
    assert answer.json() == {
        **json.loads(ONE),
        "id": net_id(ONE),
        "names": [],
        "shared": False,
        "batchable": False,
        "bytes": len(ONE),
        "external": [],
    }
    assert http.get(answer.headers["location"]).json() == answer.json()


def test_the_same_bytes_again(http: AppClient, compute: FakeCompute) -> None:
    first = http.post("/nets?name=a", content=ONE)
    again = http.post("/nets?name=a", content=ONE)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert compute.inspected == 1
    more = http.post("/nets?name=b", content=ONE)
    assert (more.status_code, more.json()["names"]) == (200, ["a", "b"])


def test_upload_in_parts(http: AppClient) -> None:
    weights = bytes(range(256)) * 9000  # over two batches of writes
    parts: list[Any] = [
        ("model", ("any.onnx", ONE)),
        ("external", ("weights.bin", weights)),
        ("external", ("empty", b"")),
    ]
    answer = http.post("/nets", files=parts)
    assert answer.status_code == 201, answer.text
    net = answer.json()["id"]
    assert net == net_id(ONE, **{"weights.bin": weights, "empty": b""})
    assert answer.json()["external"] == ["empty", "weights.bin"]
    assert answer.json()["bytes"] == len(ONE) + len(weights)
    download = http.get(f"/nets/{net}/model")
    assert download.headers["content-type"] == "application/octet-stream"
    assert download.content == ONE
    assert http.get(f"/nets/{net}/model?location=weights.bin").content == weights
    assert http.get(f"/nets/{net}/model?location=empty").content == b""
    missing = http.get(f"/nets/{net}/model?location=weights")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_file")
    assert missing.json()["remedy"] == "Did you mean `weights.bin`?"


NAMES = ["", "-a", ".a", "a b", "a/b", "ü", "a" * 64, "0" * 64, "net.gradient", "a\n"]


@pytest.mark.parametrize("name", NAMES)
def test_bad_names_are_refused_before_the_upload(http: AppClient, name: str) -> None:
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield ONE

    answer = http.post("/nets", params={"name": name}, content=body())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_name")
    assert not read


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "a" * 63, "0" * 63, "gradient", "net.gradients"])
def test_good_names(http: AppClient, name: str) -> None:
    assert http.post("/nets", params={"name": name}, content=ONE).json()["names"] == [name]
    assert http.get(f"/nets/{name}").json()["id"] == net_id(ONE)


def test_a_name_that_is_taken(
    http: AppClient, store: LocalStore, compute: FakeCompute, tmp_path: Path
) -> None:
    http.post("/nets?name=a", content=ONE)
    taken = http.post("/nets?name=a", content=OTHER)
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    assert "replace=true" in taken.json()["remedy"]
    assert kept(store, tmp_path / "data") == [net_id(ONE)]
    assert compute.inspected == 1
    moved = http.post("/nets?name=a&replace=true", content=OTHER)
    assert (moved.status_code, moved.json()["names"]) == (201, ["a"])
    assert names_of(http, net_id(ONE)) == []
    back = http.post("/nets?name=a&replace=true", content=ONE)
    assert (back.status_code, back.json()["names"]) == (200, ["a"])


BAD_UPLOADS: list[tuple[dict[str, Any], int, str]] = [
    ({"content": b"not a net"}, 422, "invalid_net"),
    ({"content": b""}, 422, "invalid_net"),
    ({"content": ONE[:-1]}, 422, "invalid_net"),
    ({"content": ONE, "headers": {"Content-Type": "application/json"}}, 415,
     "unsupported_content_type"),
    ({"content": ONE, "headers": {"Content-Encoding": "gzip"}}, 415, "unsupported_encoding"),
    ({"content": b" " * (MAX_UPLOAD + 1)}, 413, "body_too_large"),
    ({"files": [("model", ("m", b" " * MAX_UPLOAD))]}, 413, "body_too_large"),
    ({"files": [("external", ("w", b"1"))]}, 422, "missing_field"),
    ({"files": [("model", ("m", ONE)), ("weights", ("w", b"1"))]}, 422, "unknown_field"),
    ({"files": [("model", ("m", ONE))], "data": {"external": "1"}}, 422, "missing_field"),
    ({"files": [("model", ("m", ONE)), ("model", ("m", ONE))]}, 400, "invalid_multipart"),
    ({"files": [("model", ("m", ONE)), ("external", ("w", b"1")), ("external", ("w", b"2"))]},
     400, "invalid_multipart"),
    ({"files": [("model", ("m", ONE)), ("external", ("../w", b"1"))]}, 422, "invalid_location"),
    ({"files": [("model", ("m", ONE)), ("external", ("/w", b"1"))]}, 422, "invalid_location"),
    ({"content": ONE, "headers": {"Content-Type": "multipart/form-data"}}, 400,
     "invalid_multipart"),
    ({"content": ONE, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400,
     "invalid_multipart"),
    ({"content": ONE, "headers": {"Content-Type": "multipart/form-data; boundary=" + "x" * 300}},
     400, "invalid_multipart"),
    ({"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400,
     "invalid_multipart"),
    ({"content": b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nbytes',
      "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, "invalid_multipart"),
    ({"content": b'--x\r\nContent-Disposition: form-data; name="external"; filename="\xff"\r\n'
      b"\r\nbytes\r\n--x--\r\n",
      "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, "invalid_multipart"),
]  # fmt: skip


@pytest.mark.parametrize(("upload", "status", "code"), BAD_UPLOADS)
def test_bad_uploads_keep_nothing(
    *,
    http: AppClient,
    store: LocalStore,
    tmp_path: Path,
    upload: dict[str, Any],
    status: int,
    code: str,
) -> None:
    answer = http.post("/nets?name=a", **upload)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert kept(store, tmp_path / "data") == []
    assert http.get("/nets/a").status_code == 404


def test_pages(http: AppClient) -> None:
    ids = sorted(
        http.post("/nets", content=fake_net(note=str(number))).json()["id"] for number in range(5)
    )
    assert http.get("/nets").json()["next"] is None
    assert [net["id"] for net in http.get("/nets").json()["nets"]] == ids
    seen, after = [], None
    for size in (2, 2, 1):
        page = http.get("/nets", params={"limit": 2, **({"after": after} if after else {})}).json()
        assert len(page["nets"]) == size
        seen += [net["id"] for net in page["nets"]]
        after = page["next"]
    assert (seen, after) == (ids, None)
    listed = {"id", "names", "shared", "batchable", "bytes", "inputs", "outputs"}
    assert page["nets"][0].keys() == listed


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "first=1"])
def test_bad_pages(http: AppClient, query: str) -> None:
    answer = http.get(f"/nets?{query}")
    code = "unknown_field" if query == "first=1" else "invalid_field"
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_delete(http: AppClient, net: str, compute: FakeCompute) -> None:
    http.post("/nets?name=second", content=ONE)
    answer = http.delete("/nets/echo")
    assert (answer.status_code, answer.content) == (204, b"")
    assert names_of(http, net) == ["second"]
    assert compute.forgotten == []
    assert http.delete(f"/nets/{net}").status_code == 204
    assert compute.forgotten == [net]
    for ref in (net, "echo", "second"):
        assert http.get(f"/nets/{ref}").status_code == 404
        assert http.delete(f"/nets/{ref}").status_code == 404


UNKNOWN = [
    ("GET", "/nets/{}"),
    ("DELETE", "/nets/{}"),
    ("GET", "/nets/{}/model"),
    ("POST", "/nets/{}/evaluate"),
    ("POST", "/nets/{}/gradient"),
]


@pytest.mark.parametrize("ref", ["nobody", "0" * 64, "-", "a" * 200])
@pytest.mark.parametrize(("method", "path"), UNKNOWN)
def test_unknown_nets(http: AppClient, method: str, path: str, ref: str) -> None:
    options: dict[str, Any] = {"json": {"data": [1]}} if method == "POST" else {}
    answer = http.request(method, path.format(ref), **options)
    assert answer.status_code == 404, answer.text


def test_moving_a_name_moves_calls(http: AppClient, net: str, compute: FakeCompute) -> None:
    http.post("/nets/echo/evaluate", json={"data": [1]})
    http.post("/nets?name=echo&replace=true", content=OTHER)
    http.post("/nets/echo/evaluate", json={"data": [1]})
    assert [job.net_id for job in compute.jobs] == [net, net_id(OTHER)]
    model = compute.jobs[1].files.model
    assert isinstance(model, Path)
    assert model.read_bytes() == OTHER
