"""Connections that trickle, break off, idle or never listen, over plain sockets."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Address = tuple[str, int]
HEAD = (
    "POST /nets/honest-times/gradient HTTP/1.1\r\nHost: localhost\r\n"
    "Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
)


def slow_headers(address: Address, patience: float) -> str:
    """A request whose headers come a byte at a time and never end."""
    with _connected(address) as wire:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        return _trickle(wire, patience)


def silent(address: Address, patience: float) -> str:
    """A connection on which nothing is ever sent."""
    with _connected(address) as wire:
        return _answer(wire, patience)


def slow_body(address: Address, patience: float) -> str:
    """A body that comes a byte at a time."""
    with _connected(address) as wire:
        wire.sendall(HEAD.format(size=1_000_000).encode())
        return _trickle(wire, patience)


def slow_upload(address: Address, patience: float) -> str:
    """A net that comes a byte at a time."""
    with _connected(address) as wire:
        head = "POST /nets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        wire.sendall(head.encode())
        return _trickle(wire, patience)


def aborted_bodies(address: Address, count: int) -> str:
    """Bodies that break off in the middle."""
    for _ in range(count):
        with _connected(address) as wire:
            wire.sendall(HEAD.format(size=1_000_000).encode() + b'{"data": ' + b"[" * 100)
    return "aborted"


def idle_connections(address: Address, count: int, seconds: float) -> str:
    """Many connections, opened within some seconds and held: to hold them is the attack."""
    wires: list[socket.socket] = []
    try:
        for _ in range(count):
            wires.append(socket.create_connection(address, timeout=5))
            time.sleep(0.001)
        time.sleep(seconds)
        return f"held {len(wires)}"
    finally:
        for wire in wires:
            wire.close()


def never_reading(address: Address, path: str, body: bytes, seconds: float) -> str:
    """Asks for a large answer and reads nothing of it."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Accept: application/x-npz\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with _connected(address) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.sendall(head.encode() + body)
        time.sleep(seconds)
    return "not read"


def leaving(address: Address, path: str, body: bytes, seconds: float) -> str:
    """Asks, and is gone before there is an answer."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with _connected(address) as wire:
        wire.sendall(head.encode() + body)
        time.sleep(seconds)
    return "left"


@contextmanager
def _connected(address: Address) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as wire:
        yield wire


def _trickle(wire: socket.socket, patience: float) -> str:
    """A byte at a time until an answer comes; what it was."""
    return _answer(wire, patience, lambda: wire.sendall(b" "))


def _answer(
    wire: socket.socket, patience: float, meanwhile: Callable[[], None] = lambda: None
) -> str:
    """The status and code that came, `closed`, or `still open` when patience is over."""
    wire.settimeout(0.1)
    until, got = time.monotonic() + patience, b""
    while time.monotonic() < until:
        try:
            meanwhile()
        except TimeoutError:
            pass
        except OSError:
            return _told(got) or "closed"
        try:
            piece = wire.recv(65536)
        except TimeoutError:
            if _told(got):
                return _told(got)
            continue
        except OSError:
            return _told(got) or "closed"
        if not piece:
            return _told(got) or "closed"
        got += piece
    return "still open"


def _told(got: bytes) -> str:
    status = re.match(rb"HTTP/1\.1 (\d+)", got)
    code = re.search(rb'"code":\s?"(\w+)"', got)
    if status is None:
        return ""
    return status[1].decode() + " " + (code[1].decode() if code else "no problem")
