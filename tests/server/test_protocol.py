"""Connections, raw: what comes that no honest client sends, and what the server makes of it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from portgrad.api.app import create_app
from portgrad.api.server.edge import MOST_HEAD_BYTES, MOST_HEADERS, MOST_PIPELINED
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.served import Answer, Served, Wire, request, served

HEAD_SECONDS, BODY_SECONDS = 0.4, 0.4
CALL = ("POST", "/nets/echo/evaluate", b'{"data": [1]}', "Content-Type: application/json")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(header_seconds=HEAD_SECONDS, body_seconds=BODY_SECONDS, max_connections=40)
    folder: Path = tmp_path_factory.mktemp("nets")
    app = create_app(LocalStore(folder), FakeCompute(), settings)
    with served(app, settings) as running:
        upload = ("POST", "/nets?name=echo", fake_net())
        assert running.ask(request(*upload)).status == 201
        yield running


def problem(answer: Answer, status: int, code: str) -> None:
    told = json.loads(answer.body)
    assert (answer.status, told["status"], told["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == told["request_id"]
    assert answer.headers["connection"] == "close"
    assert told.keys() >= {"type", "title", "detail", "remedy"}


def good(answer: Answer) -> None:
    assert answer.status == 200, answer


MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version": b"GET / HTTP/1.x\r\n\r\n",
    "method": b"GE\x00T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "target not ASCII": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "header name": b"GET /healthz HTTP/1.1\r\nHo st: a\r\n\r\n",
    "space before colon": b"POST /nets HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
    "zero in a value": b"GET /healthz HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "bare CR": b"GET /healthz HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "folded": b"GET /healthz HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
    "both lengths": b"POST /nets HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, turned": b"POST /nets HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /nets HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
    b"Content-Length: 4\r\n\r\nabcd",
    "a signed length": b"POST /nets HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
    "a negative length": b"POST /nets HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc",
    "a long length": b"POST /nets HTTP/1.1\r\nHost: a\r\nContent-Length: "
    + b"9" * 40 + b"\r\n\r\n",
    "two codings": b"POST /nets HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    b"0\r\n\r\n",
    "an unknown coding": b"POST /nets HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n"
    b"0\r\n\r\n",
    "coding twice": b"POST /nets HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a chunk of no size": request(*CALL[:2], b"", "Transfer-Encoding: chunked", CALL[3])
    + b"xyz\r\n",
    "a chunk of a long size": request(*CALL[:2], b"", "Transfer-Encoding: chunked", CALL[3])
    + b"f" * 40 + b"\r\n",
    "a chunk beyond its size": request(*CALL[:2], b"", "Transfer-Encoding: chunked", CALL[3])
    + b"2\r\nabc\r\n",
    "CONNECT": b"CONNECT portgrad.test:80 HTTP/1.1\r\nHost: a\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed(server: Served, kind: str) -> None:
    wire = server.wire(MALFORMED[kind])
    problem(wire.answer(), 400, "malformed_request")
    assert wire.closed()


def test_a_small_answer_comes_in_one_piece(server: Served) -> None:
    """A head that came before its body would wake its client up twice."""
    wire = server.wire()
    for _ in range(20):
        wire.send(request(*CALL))
        head, _, body = wire.socket.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert f"content-length: {len(body)}".encode() in head.lower()


WELL_FORMED = {
    "HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", True),
    "an absolute target": (request(target="http://elsewhere/healthz"), False),
    "an upgrade to HTTP/2": (
        request("GET", "/healthz", b"", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
        False,
    ),
    "a websocket": (
        request("GET", "/healthz", b"", "Connection: Upgrade", "Upgrade: websocket"), False,
    ),
    "leading lines": (b"\r\n\r\n" + request(), False),
    "chunks": (
        request(*CALL[:2], b"", "Transfer-Encoding: chunked", CALL[3])
        + b'5;x=y\r\n{"dat\r\n8\r\na": [1]}\r\n0\r\nTrailer: 1\r\n\r\n', False,
    ),
    "a body that is closed": (request(*CALL, "Connection: close"), True),
}  # fmt: skip


@pytest.mark.parametrize("kind", WELL_FORMED)
def test_well_formed(server: Served, kind: str) -> None:
    data, last = WELL_FORMED[kind]
    wire = server.wire(data)
    answer = wire.answer()
    good(answer)
    assert answer.headers.get("connection", "") == ("close" if last else "")
    if last:
        assert wire.closed()
    else:
        good(wire.send(request()).answer())


def test_a_request_behind_an_upgrade_is_answered(server: Served) -> None:
    upgrade = request("GET", "/healthz", b"", "Connection: Upgrade", "Upgrade: h2c")
    wire = server.wire(upgrade + request(*CALL))
    good(wire.answer())
    good(wire.answer())


HEADS = {
    "a long target": request(target="/nets?after=" + "a" * MOST_HEAD_BYTES),
    "a long header": request("GET", "/healthz", b"", "X: " + "a" * MOST_HEAD_BYTES),
    "a header without end": request("GET", "/healthz", b"", "X: ")[:-4] + b"a" * 10**6,
    "a target without end": b"GET /" + b"a" * 10**6,
    "many headers": request("GET", "/healthz", b"", *["X: y"] * MOST_HEADERS),
}


@pytest.mark.parametrize("kind", HEADS)
def test_heads_that_are_too_large(server: Served, kind: str) -> None:
    problem(server.ask(HEADS[kind]), 431, "head_too_large")


def test_the_largest_head(server: Served) -> None:
    fields = ["X: " + "a" * 600] * (MOST_HEADERS - 1)
    good(server.ask(request("GET", "/healthz", b"", *fields)))


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX:"])
def test_slow_heads(server: Served, sent: bytes) -> None:
    wire = server.wire(sent)
    start = time.monotonic()
    if b"GET" in sent:
        problem(wire.answer(), 408, "headers_too_slow")
    assert wire.closed()
    assert HEAD_SECONDS * 0.9 < time.monotonic() - start < HEAD_SECONDS + 3


def test_a_head_that_trickles_has_no_more_time(server: Served) -> None:
    wire = server.wire(request()[:-2])
    assert seconds_until_it_breaks(wire, b"X: y\r\n", 0.05) < HEAD_SECONDS + 8


def seconds_until_it_breaks(wire: Wire, data: bytes, pause: float) -> float:
    """How long a connection takes data again and again, up to 20 seconds."""
    start = time.monotonic()
    with suppress(OSError):
        while time.monotonic() - start < 20:
            wire.send(data)
            time.sleep(pause)
    return time.monotonic() - start


def test_the_clock_of_a_second_head(server: Served) -> None:
    wire = server.wire(request())
    good(wire.answer())
    time.sleep(2 * HEAD_SECONDS)  # between requests uvicorn's own seconds count
    good(wire.send(request()).answer())
    wire.send(b"GET /")
    problem(wire.answer(), 408, "headers_too_slow")


def test_slow_bodies(server: Served) -> None:
    wire = server.wire(request(*CALL)[:-1])
    problem(wire.answer(), 408, "body_too_slow")
    assert wire.closed()
    head = request(*CALL[:2], b"", "Transfer-Encoding: chunked", CALL[3])
    wire = server.wire(head + b"1\r\n{\r\n")
    problem(wire.answer(), 408, "body_too_slow")
    assert wire.closed()


def test_a_body_is_asked_for_only_where_it_is_wanted(server: Served) -> None:
    wire = server.wire(request(*CALL, "Expect: 100-continue")[: -len(CALL[2])])
    assert wire._file.readline() == b"HTTP/1.1 100 Continue\r\n"
    wire._file.readline()
    good(wire.send(CALL[2]).answer())
    length = f"Content-Length: {10**12}"
    wire = server.wire(request(*CALL[:2], b"", "Expect: 100-continue", length, CALL[3]))
    answer = wire.answer()
    problem(answer, 413, "body_too_large")


def test_an_answer_reaches_who_is_still_sending(server: Served) -> None:
    """A connection that is closed on unread bytes is reset, and the answer is lost with it."""
    wire = server.wire(request(*CALL[:2], b"", f"Content-Length: {10**9}", CALL[3]))
    for _ in range(100):
        try:
            wire.send(b"x" * 100_000)
        except OSError:
            break
    problem(wire.answer(), 413, "body_too_large")


def test_what_nobody_reads_of_a_body_is_no_request(server: Served) -> None:
    hidden = request()
    wire = server.wire(request("POST", "/nowhere", hidden) + request("GET", "/nets"))
    assert wire.answer().status == 404
    assert json.loads(wire.answer().body)["nets"]


def test_aborted_bodies_leave_nothing(server: Served) -> None:
    for _ in range(20):
        server.wire(request(*CALL)[:-1]).close()
    admission = server.server.config.app.state.service.admission  # type: ignore[union-attr]
    deadline = time.monotonic() + 5
    while admission.requests or admission.held:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_pipelined_requests_are_answered_in_order(server: Served) -> None:
    targets = ["/healthz", "/nowhere", "/nets"] * 5
    wire = server.wire(b"".join(request(target=target) for target in targets))
    statuses = [wire.answer().status for _ in targets]
    assert statuses == [200, 404, 200] * 5


def test_too_many_pipelined_requests(server: Served) -> None:
    wire = server.wire(b"".join([request(*CALL)] * (MOST_PIPELINED + 9)))
    answers = [wire.answer() for _ in range(MOST_PIPELINED + 1)]
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert [answer.headers.get("connection") for answer in answers[:-1]] == [None] * MOST_PIPELINED
    assert answers[-1].headers["connection"] == "close"
    assert wire.closed()


@pytest.mark.parametrize(
    "rest", [b"nonsense\r\n\r\n", request(*CALL[:2], b"", "Content-Length: x")]
)
def test_what_is_malformed_behind_good_requests_spoils_none(server: Served, rest: bytes) -> None:
    wire = server.wire(request(*CALL) + request() + rest)
    good(wire.answer())
    good(wire.answer())
    assert wire.closed()


def test_a_client_that_reads_nothing_is_let_go(server: Served) -> None:
    wire = server.wire()
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert seconds_until_it_breaks(wire, request(target="/docs/swagger-ui-bundle.js"), 0.005) < 9


def test_an_idle_connection_makes_room(server: Served) -> None:
    idle = [server.wire() for _ in range(60)]
    good(server.ask(request()))
    assert idle[0].closed()
    good(idle[-1].send(request()).answer())


def test_no_room_at_all(tmp_path: Path) -> None:
    settings = Settings(max_connections=2, body_seconds=5)
    app = create_app(LocalStore(tmp_path), FakeCompute(), settings)
    with served(app, settings) as running:
        assert running.ask(request("POST", "/nets?name=echo", fake_net())).status == 201
        running.hang_up()
        busy = [running.wire(request(*CALL)[:-1]) for _ in range(2)]
        time.sleep(0.2)
        answer = running.wire().answer()
        problem(answer, 503, "too_many_connections")
        assert answer.headers["retry-after"] == "1"
        for wire in busy:
            good(wire.send(CALL[2][-1:]).answer())


def test_a_server_that_stops_waits_for_bodies(tmp_path: Path) -> None:
    settings = Settings()
    app = create_app(LocalStore(tmp_path), FakeCompute(), settings)
    with served(app, settings) as running:
        assert running.ask(request("POST", "/nets?name=echo", fake_net())).status == 201
        wire = running.wire(request(*CALL)[:-1])
        idle = running.wire(request())
        good(idle.answer())
        running.server.should_exit = True
        assert idle.closed()
        answer = wire.send(CALL[2][-1:]).answer()
        good(answer)
        assert answer.headers["connection"] == "close"
