"""Stored files that are not as they were written, and nets that go away while they are used."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portgrad.codecs.model import Answer
from portgrad.compute.jobs import Job
from portgrad.store import LocalStore, contents
from support.fake_compute import FakeCompute, fake_net
from support.http import AppClient

WEIGHTS = b"w" * 1000
ONE, OTHER = fake_net(), fake_net(note="another")
CALL = {"json": {"data": [1]}}
READS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "evaluate": ("POST", "/nets/{}/evaluate", CALL),
    "gradient": ("POST", "/nets/{}/gradient", CALL),
    "a download": ("GET", "/nets/{}/model", {}),
    "a gradient file": ("GET", "/nets/{}/gradient.onnx", {}),
}


@pytest.fixture
def net(http: AppClient) -> str:
    parts: list[Any] = [("model", ("m", ONE)), ("external", ("w", WEIGHTS))]
    found: str = http.post("/nets?name=echo", files=parts).json()["id"]
    assert http.post("/nets?name=other", content=OTHER).status_code == 201
    return found


def flip(path: Path) -> None:
    """One bit, as a disk would: neither the size nor the time tells."""
    facts = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def remove(path: Path) -> None:
    path.unlink()


FILES = ["model.onnx", "external/0", "manifest.json", "description.json"]
DAMAGES = [
    # What was read of a description is kept in memory, and was right: test_local_store flips it.
    *((file, flip, "before") for file in FILES[:2]),
    *((file, cut, when) for file in FILES for when in ("before", "between")),
    *((file, remove, when) for file in FILES for when in ("before", "between")),
]


@pytest.mark.parametrize(
    ("file", "damage", "when"), DAMAGES, ids=[f"{f}-{d.__name__}-{w}" for f, d, w in DAMAGES]
)
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_damage_is_never_computed_with(
    *,
    http: AppClient,
    net: str,
    compute: FakeCompute,
    tmp_path: Path,
    read: tuple[str, str, dict[str, Any]],
    damage: Callable[[Path], None],
    when: str,
    file: str,
) -> None:
    method, path, sent = read
    if when == "between":
        assert http.request(method, path.format("echo"), **sent).status_code == 200
    damage(tmp_path / "data" / "nets" / net / file)
    jobs = len(compute.jobs)
    for _ in range(2):
        answer = http.request(method, path.format("echo"), **sent)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_damaged"), answer.text
        assert answer.json()["where"] == net
        assert str(tmp_path) not in answer.text
    assert len(compute.jobs) == jobs
    # Nothing else is disturbed, and the remedy that the problem names helps.
    assert http.request(method, path.format("other"), **sent).status_code == 200
    assert answer.json()["remedy"] == "Upload the net again."
    parts: list[Any] = [("model", ("m", ONE)), ("external", ("w", WEIGHTS))]
    assert http.post("/nets", files=parts).status_code == 200
    assert http.request(method, path.format("echo"), **sent).status_code == 200
    assert http.get("/nets/echo/model?location=w").content == WEIGHTS


def test_a_list_goes_on_around_what_cannot_be_described(
    http: AppClient, net: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut(tmp_path / "data" / "nets" / net / "model.onnx")
    assert len(http.get("/nets").json()["nets"]) == 2
    cut(tmp_path / "data" / "nets" / net / "description.json")
    assert [found["names"] for found in http.get("/nets").json()["nets"]] == [["other"]]
    assert net in caplog.text
    assert http.delete(f"/nets/{net}").status_code == 204


def test_each_file_is_hashed_once(
    http: AppClient, net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many calls come at once; and again when one was touched."""
    hashed: list[Any] = []
    sha256 = contents.sha256
    monkeypatch.setattr(contents, "sha256", lambda path: hashed.append(path) or sha256(path))

    async def ten() -> list[Any]:
        client = http._http
        return await asyncio.gather(
            *(client.post("/nets/echo/gradient", **CALL) for _ in range(10))
        )

    for _ in range(2):
        assert {answer.status_code for answer in http.run(ten())} == {200}
    assert len(hashed) == 2
    os.utime(tmp_path / "data" / "nets" / net / "external" / "0", (1, 1))
    http.post("/nets/echo/gradient", **CALL)
    assert len(hashed) == 4


def test_a_call_that_runs_goes_on_when_its_net_is_removed(
    http: AppClient, net: str, compute: FakeCompute, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = compute.call
    statuses: list[int] = []

    async def meanwhile(job: Job) -> Answer:
        assert isinstance(job.files.model, Path)
        with job.files.model.open("rb") as opened:
            removed = await http._http.delete(f"/nets/{net}")
            late = await http._http.post(f"/nets/{net}/gradient", **CALL)
            statuses.extend((removed.status_code, late.status_code))
            assert opened.read() == ONE
        return await call(job)

    monkeypatch.setattr(compute, "call", meanwhile)
    assert http.post("/nets/echo/gradient", **CALL).status_code == 200
    assert statuses == [204, 404]
    assert http.get("/nets/echo").status_code == 404


def test_another_replica_sees_a_removal_at_once(http: AppClient, net: str, tmp_path: Path) -> None:
    assert http.post("/nets/echo/gradient", **CALL).status_code == 200
    LocalStore(tmp_path / "data").of("local").delete(net)
    for ref in (net, "echo"):
        answer = http.post(f"/nets/{ref}/gradient", **CALL)
        assert (answer.status_code, answer.json()["code"]) == (404, "net_not_found")
