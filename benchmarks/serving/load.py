"""Many clients at once, in a process of their own, that cost as little as clients can.

    python -m benchmarks.serving.load HOST PORT CONNECTIONS

reads requests (as JSON, in base64) from its first line of input, then numbers of seconds, one in a
line. For as long, every connection sends a request as soon as the one before it was answered, by
turns all of them, connection i from the i-th on. Then a line of JSON tells the milliseconds that
each call took, and how many were not answered with the status 200.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools
import numpy as np
import uvloop

from benchmarks.serving.program import ROOT

OK = 200


@dataclass(frozen=True)
class Loaded:
    """What some seconds of load showed.

    Attributes:
        rate: answers a second.
        ms: what each call took.
        failed: answers of another status than 200.
    """

    rate: float
    ms: np.ndarray
    failed: int


class Load:
    """Clients that ask when they are told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, seconds: float) -> Loaded:
        """Have them ask for so long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        ms = np.array(told["ms"])
        return Loaded(len(ms) / told["seconds"], ms, told["failed"])


@contextmanager
def load(url: str, requests: Sequence[bytes], connections: int) -> Iterator[Load]:
    """Clients of a server, each with a connection of its own."""
    at = urlsplit(url)
    where = [str(at.hostname), str(at.port), str(connections)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serving.load", *where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps([base64.b64encode(r).decode() for r in requests]) + "\n")
        yield Load(process)
    finally:
        process.stdin.close()
        process.wait(30)


def post(path: str, body: bytes, **headers: str) -> bytes:
    """A request as it goes over the wire."""
    told = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Sequence[bytes], first: int) -> None:
        self._requests, self._next = requests, first
        self.ms: list[float] = []
        self.failed = 0
        self.until = 0.0
        self.idle: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self._parser = httptools.HttpResponseParser(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.idle is not None and not self.idle.done():
            self.idle.set_exception(exc or ConnectionError("the server closed the connection"))

    def ask(self, until: float) -> asyncio.Future[None]:
        """Ask until then; the future is done when the last answer is there."""
        self.ms, self.failed, self.until = [], 0, until
        self.idle = asyncio.get_running_loop().create_future()
        self._send()
        return self.idle

    def _send(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._start = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self.ms.append((now - self._start) * 1e3)
        self.failed += self._parser.get_status_code() != OK
        if now < self.until:
            self._send()
        elif self.idle is not None and not self.idle.done():
            self.idle.set_result(None)


async def _serve(host: str, port: int, connections: int) -> None:
    loop = asyncio.get_running_loop()
    requests = [base64.b64decode(text) for text in json.loads(sys.stdin.readline())]
    clients = [
        (await loop.create_connection(lambda first=first: _Client(requests, first), host, port))[1]
        for first in range(connections)
    ]
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        start = time.perf_counter()
        await asyncio.gather(*(client.ask(start + float(line)) for client in clients))
        seconds = time.perf_counter() - start
        ms = [round(each, 4) for client in clients for each in client.ms]
        failed = sum(client.failed for client in clients)
        print(json.dumps({"seconds": seconds, "ms": ms, "failed": failed}), flush=True)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
