"""An application as strangers reach it: our server on a socket, in a thread of this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import uvicorn

from portgrad.api.server import serving
from portgrad.settings import Settings

_SECONDS = 10.0  # what a test waits for, at most, before it fails


class Answer(NamedTuple):
    """One answer of HTTP/1.1."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection that sends whatever bytes it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_SECONDS)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> Wire:
        self.socket.sendall(data)
        return self

    def answer(self, *, head: bool = False) -> Answer:
        """The next answer; `head` where it has no body whatever its headers say."""
        line = self._file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers: dict[str, str] = {}
        while field := self._file.readline().strip():
            name, _, value = field.partition(b":")
            headers[name.decode().lower()] = value.decode().strip()
        size = 0 if head else int(headers.get("content-length", 0))
        return Answer(int(line.split()[1]), headers, self._file.read(size))

    def closed(self) -> bool:
        """Whether nothing more comes; waits for that."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._file.close()
        self.socket.close()


class Served:
    """A server that runs, and how to reach it."""

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.server = server
        self.port = port
        self._wires: list[Wire] = []

    def wire(self, data: bytes = b"") -> Wire:
        self._wires.append(Wire(self.port))
        return self._wires[-1].send(data) if data else self._wires[-1]

    def ask(self, data: bytes) -> Answer:
        return self.wire(data).answer()

    def hang_up(self) -> None:
        for wire in self._wires:
            wire.close()


@contextmanager
def served(app: Any, settings: Settings) -> Iterator[Served]:
    """The application at a free port of loopback."""
    server = uvicorn.Server(serving.config(app, settings))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(2048)  # what connects before the server runs waits for it
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    running = Served(server, listening.getsockname()[1])
    try:
        yield running
    finally:
        running.hang_up()
        server.should_exit = True
        thread.join(_SECONDS)
        assert not thread.is_alive()


def request(
    method: str = "GET", target: str = "/healthz", body: bytes = b"", *headers: str
) -> bytes:
    """A request of HTTP/1.1, its body announced where there is one."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
