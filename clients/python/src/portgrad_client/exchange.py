"""One connection for one request at a time, whose failures are told as httpx's."""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from portgrad_client.incoming import Incoming

Buffer: TypeAlias = bytes | bytearray | memoryview

# What is sent in one piece, head and all, so that it arrives as one.
_AT_ONCE = 64 * 1024
_TARGET = re.compile("[!-~]+")
_HEADER = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\\t -~\xa0-\xff]*")


@dataclass(slots=True)
class Received:
    """An answer as it came. Names of headers are in lower case; what stood twice is one value."""

    status: int
    headers: dict[str, str]
    content: bytearray | memoryview


def opened(
    host: str, port: int, seconds: float | None, context: ssl.SSLContext | None
) -> socket.socket:
    """A socket that is connected, over TLS where there is a context.

    Raises:
        httpx.TransportError: nobody answers there in time, or not as who they ought to be.
    """
    with failing_as(httpx.ConnectTimeout, httpx.ConnectError):
        plain = socket.create_connection((host, port), seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain if context is None else context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


class Connection:
    """An open connection, for one request at a time.

    Args:
        opened: its socket.

    Attributes:
        ended: whether it bears no other request.
        rested: when it was used last, on the monotonic clock.
    """

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._poll = select.poll()
        self._poll.register(opened, select.POLLIN)
        self.ended = False
        self.rested = 0.0

    def quiet(self) -> bool:
        """Whether nothing has come that nobody asked for: no end of it, either."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def post(
        self,
        target: str,
        headers: Mapping[str, str],
        body: Sequence[Buffer],
        timeout: httpx.Timeout,
    ) -> Received:
        """Send a request and read what is answered.

        Args:
            target: path and query.
            headers: all of them.
            body: its bytes, in pieces.
            timeout: for each of sending, and waiting for the answer.

        Raises:
            httpx.TransportError: no answer came.
        """
        try:
            with failing_as(httpx.WriteTimeout, httpx.WriteError):
                self._send(target, headers, body, timeout.write)
        except httpx.WriteError as failed:
            # Who refuses a body may answer before all of it has come, and hang up.
            self.ended = True
            try:
                return self._receive(timeout.read)
            except httpx.TransportError:
                raise failed from None
        return self._receive(timeout.read)

    def _send(
        self,
        target: str,
        headers: Mapping[str, str],
        body: Sequence[Buffer],
        seconds: float | None,
    ) -> None:
        head = _head(target, headers)
        self._wait(seconds)
        if sum(map(len, body)) <= _AT_ONCE:
            self._socket.sendall(b"".join([head, *body]))
            return
        for piece in (head, *body):
            self._socket.sendall(piece)

    def _wait(self, seconds: float | None) -> None:
        if self._socket.gettimeout() != seconds:
            self._socket.settimeout(seconds)

    def _receive(self, seconds: float | None) -> Received:
        self._wait(seconds)
        answer = Incoming()
        with failing_as(httpx.ReadTimeout, httpx.ReadError):
            while not answer.whole:
                if answer.place:
                    answer.filled(self._socket.recv_into(answer.place))
                else:
                    answer.feed(self._socket.recv(_AT_ONCE))
        self.ended |= not answer.kept
        return Received(answer.status, answer.headers, answer.body)


def _head(target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request.

    Raises:
        httpx.LocalProtocolError: it would hold more than one.
    """
    lines = [f"{name}: {value}" for name, value in headers.items()]
    wrong = next((line for line in lines if not _HEADER.fullmatch(line)), None)
    if wrong is not None or not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError("A header or an address holds what may not stand there.")
    return "\r\n".join([f"POST {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


class failing_as:  # noqa: N801 (read as a function)
    """Failures of what is done in its block, as httpx tells them.

    Args:
        late: what a timeout is.
        failed: what any other is.
    """

    __slots__ = ("_failed", "_late")

    def __init__(
        self, late: type[httpx.TimeoutException], failed: type[httpx.TransportError]
    ) -> None:
        self._late, self._failed = late, failed

    def __enter__(self) -> None:
        """Nothing is held."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, TimeoutError):
            raise self._late(str(error)) from error
        if isinstance(error, OSError | UnicodeError):  # the latter where a host cannot be a name
            raise self._failed(str(error)) from error
