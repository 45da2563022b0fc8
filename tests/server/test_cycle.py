"""Answers as applications send them, on the wire: whole ones at once, and none that lies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from portgrad.settings import Settings
from support.served import Served, served

ANSWERS: dict[str, tuple[list[tuple[bytes, bytes]], list[bytes]]] = {
    "/whole": ([(b"content-length", b"5")], [b"whole"]),
    "/pieces": ([(b"content-length", b"6")], [b"pie", b"ces"]),
    "/nothing": ([(b"content-length", b"0")], [b""]),
    "/last": ([(b"content-length", b"4"), (b"connection", b"close")], [b"last"]),
    "/line": ([(b"content-length", b"4"), (b"x", b"a\r\ny: b")], [b"line"]),
    "/feed": ([(b"content-length", b"4"), (b"x", b"a\ny: b")], [b"feed"]),
    "/long": ([(b"content-length", b"3")], [b"long"]),
    "/short": ([(b"content-length", b"9")], [b"short"]),
}


class App:
    """Answers what stands above, after it has yielded once."""

    state = SimpleNamespace(service=SimpleNamespace(scrape=SimpleNamespace(watch=lambda _: None)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers, pieces = ANSWERS[scope["path"]]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.sleep(0)
        *first, last = pieces
        for piece in first:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": last})


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(App(), Settings()) as running:
        yield running


def asked(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@pytest.mark.parametrize("path", ["/whole", "/pieces", "/nothing"])
def test_an_answer_and_the_next_one(server: Served, path: str) -> None:
    wire = server.wire()
    for _ in range(3):
        found = wire.send(asked(path)).answer()
        assert (found.status, found.body) == (200, b"".join(ANSWERS[path][1]))
        assert found.headers["date"]
    found = wire.send(asked(path, "HEAD")).answer(head=True)
    assert found.headers["content-length"] == str(len(b"".join(ANSWERS[path][1])))
    assert wire.send(asked("/whole")).answer().body == b"whole"


def test_the_last_answer_of_a_connection(server: Served) -> None:
    wire = server.wire(asked("/last"))
    assert wire.answer().body == b"last"
    assert wire.closed()


@pytest.mark.parametrize("path", ["/line", "/feed"])
def test_a_header_cannot_hold_another_one(server: Served, path: str) -> None:
    """Nothing of such an answer is sent."""
    assert server.wire(asked(path)).closed()


@pytest.mark.parametrize("path", ["/long", "/short"])
def test_a_body_of_another_length_than_its_head_tells_ends_the_connection(
    server: Served, path: str
) -> None:
    wire = server.wire(asked(path))
    headers, (body,) = ANSWERS[path]
    told = int(headers[0][1])
    assert len(wire.answer().body) < max(told, len(body))
    assert wire.closed()
