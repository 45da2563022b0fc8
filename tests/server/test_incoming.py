"""Large bodies on real connections, which go past the parser: what comes before, and after."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portgrad.api import bodies
from portgrad.api.app import create_app
from portgrad.api.server.protocol import Protocol
from portgrad.compute.blocks import Block
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.served import Served, request, served

TYPE = "Content-Type: application/json"
BODY_SECONDS = 0.4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(body_seconds=BODY_SECONDS)
    folder: Path = tmp_path_factory.mktemp("nets")
    with served(create_app(LocalStore(folder), FakeCompute(), settings), settings) as running:
        assert running.ask(request("POST", "/nets?name=echo", fake_net())).status == 201
        yield running


@pytest.fixture(autouse=True, params=["private", "shared"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a body is kept: in memory of the process or, as larger ones are, in a block."""
    kept: str = request.param
    if kept == "shared":
        monkeypatch.setattr(bodies, "MOST_FOLLOWING", 0)
    return kept


@pytest.fixture
def diverted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each body that was read past the parser came whole."""
    seen: list[bool] = []

    def resume(self: Protocol, *, whole: bool) -> None:
        seen.append(whole)
        plain(self, whole=whole)

    plain = Protocol.resume
    monkeypatch.setattr(Protocol, "resume", resume)
    return seen


def call(first: int, count: int = 50_000) -> bytes:
    """A call whose answer tells which one it was."""
    data = json.dumps({"data": [first, *[1] * count]}).encode()
    return request("POST", "/nets/echo/evaluate", data, TYPE)


def told(body: bytes) -> int:
    found: int = json.loads(body)["outputs"]["output"][0]
    return found


# Where the first piece ends, in bytes from the end of the head; the rest comes after a pause.
FIRST = {"with the head": 10**9, "after the head": 0, "in the middle": 70_000, "late": 1}


@pytest.mark.parametrize("cut", FIRST)
def test_bodies_that_follow_one_another(server: Served, diverted: list[bool], cut: str) -> None:
    wire = server.wire()
    for i in range(3):
        sent = call(i)
        end = sent.index(b"\r\n\r\n") + 4 + FIRST[cut]
        wire.send(sent[:end])
        if sent[end:]:
            time.sleep(0.05)
            wire.send(sent[end:])
        answer = wire.answer()
        assert (answer.status, told(answer.body)) == (200, i)
        wire.send(request("GET", "/healthz"))
        assert wire.answer().status == 200
    assert all(diverted)
    assert diverted or cut == "with the head"


def test_requests_behind_a_body_are_answered(server: Served) -> None:
    wire = server.wire(call(1) + call(2) + request("GET", "/healthz") + call(3))
    answers = [wire.answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert [told(answers[i].body) for i in (0, 1, 3)] == [1, 2, 3]


def test_a_body_that_is_asked_for(server: Served, diverted: list[bool]) -> None:
    head, _, body = call(7).partition(b"\r\n\r\n")
    wire = server.wire(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert wire.socket.recv(100).startswith(b"HTTP/1.1 100 ")
    wire.send(body)
    assert told(wire.answer().body) == 7
    assert diverted == [True]


def test_a_body_that_stops(server: Served, diverted: list[bool]) -> None:
    start = time.monotonic()
    wire = server.wire(call(1)[:-1000])
    answer = wire.answer()
    assert (answer.status, json.loads(answer.body)["code"]) == (408, "body_too_slow")
    assert answer.headers["connection"] == "close"
    assert BODY_SECONDS < time.monotonic() - start < 10 * BODY_SECONDS
    wire.send(b"x" * 500)  # is no request
    assert wire.closed()
    assert diverted == [False]


def test_a_body_that_goes_on_slowly_is_waited_for(server: Served) -> None:
    sent = call(5)
    wire = server.wire(sent[:-60_000])
    for start in range(60_000, 0, -10_000):  # more than 16 KiB a second, for longer than 0.4 s
        time.sleep(0.15)
        wire.send(sent[-start : len(sent) - start + 10_000])
    assert told(wire.answer().body) == 5


def test_a_client_that_leaves(server: Served, diverted: list[bool]) -> None:
    wire = server.wire(call(1)[:-1000])
    time.sleep(0.1)
    wire.close()
    for _ in range(100):
        if diverted:
            break
        time.sleep(0.02)
    assert diverted == [False]
    assert server.ask(request("GET", "/healthz")).status == 200


def test_no_memory_for_a_body(server: Served, memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Block, piece: memoryview) -> None:
        raise OSError(12, "no memory")

    def none(size: int) -> None:
        raise MemoryError

    if memory == "shared":
        monkeypatch.setattr(Block, "write", write)
    else:
        monkeypatch.setattr(bodies, "Room", none)
    answer = server.ask(call(1))
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "busy")


def test_what_comes_past_the_parser_is_counted(server: Served) -> None:
    def counted() -> float:
        lines = server.ask(request("GET", "/metrics")).body.decode().splitlines()
        (line,) = (
            one for one in lines if one.startswith('portgrad_body_bytes_total{direction="in"')
        )
        return float(line.split()[-1])

    before = counted()
    sent = call(1)
    assert server.ask(sent).status == 200
    assert counted() - before == len(sent.partition(b"\r\n\r\n")[2])
