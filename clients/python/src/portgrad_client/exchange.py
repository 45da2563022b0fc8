"""One connection for one request at a time: `http.client`, whose failures are told as httpx's."""

from __future__ import annotations

import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    RemoteDisconnected,
)
from typing import Any, TypeAlias

import httpx

Buffer: TypeAlias = bytes | bytearray | memoryview

# What is sent in one piece, head and all, so that it arrives as one.
_AT_ONCE = 64 * 1024


@dataclass(slots=True)
class Received:
    """An answer as it came. Names of headers are in lower case; what stood twice is one value."""

    status: int
    headers: dict[str, str]
    content: bytes | bytearray


class Plain(HTTPConnection):
    """The standard library's, which can send a head and its body in one piece.

    It sends two by itself, and a server wakes up twice.
    """

    _held: list[Buffer] | None = None

    def send(self, data: Any) -> None:
        """Send some bytes, or hold them."""
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)

    def end(self, body: bytes) -> None:
        """Send the head, with all of the body."""
        held = self._held = []
        try:
            self.endheaders(body)
        finally:
            self._held = None
        self.send(b"".join(held))


class Secure(Plain, HTTPSConnection):
    """The same over TLS."""


class Connection:
    """An open connection, for one request at a time.

    Args:
        opened: it.

    Attributes:
        ended: whether it bears no other request.
        rested: when it was used last, on the monotonic clock.
    """

    def __init__(self, opened: Plain) -> None:
        self._http = opened
        self._poll = select.poll()
        self._poll.register(opened.sock, select.POLLIN)
        self.ended = False
        self.rested = 0.0

    def quiet(self) -> bool:
        """Whether nothing has come that nobody asked for: no end of it, either."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

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
        self._wait(seconds)
        try:
            self._http.putrequest("POST", target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                self._http.putheader(name, value)
        except (ValueError, HTTPException) as error:  # a line end within, or what is not ASCII
            raise httpx.LocalProtocolError(str(error)) from error
        if sum(map(len, body)) <= _AT_ONCE:
            self._http.end(b"".join(body))
            return
        self._http.endheaders()
        for piece in body:
            self._http.send(piece)

    def _wait(self, seconds: float | None) -> None:
        if self._http.sock.gettimeout() != seconds:
            self._http.sock.settimeout(seconds)

    def _receive(self, seconds: float | None) -> Received:
        self._wait(seconds)
        with failing_as(httpx.ReadTimeout, httpx.ReadError):
            answer = self._http.getresponse()
            headers: dict[str, str] = {}
            for name, value in answer.getheaders():
                known = headers.get(name.lower())
                headers[name.lower()] = value if known is None else f"{known}, {value}"
            content = _content(answer)
            self.ended |= answer.will_close
            return Received(answer.status, headers, content)


def _content(answer: HTTPResponse) -> bytes | bytearray:
    """The body; where its length is known it comes into its place at once."""
    if not answer.length:
        return answer.read()
    body = bytearray(answer.length)
    place = memoryview(body)
    while place:
        came = answer.readinto(place)
        if not came:
            raise RemoteDisconnected("Server disconnected in the middle of its answer.")
        place = place[came:]
    answer.close()
    return body


@contextmanager
def failing_as(
    late: type[httpx.TimeoutException], failed: type[httpx.TransportError]
) -> Iterator[None]:
    """Failures as httpx tells them."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except HTTPException as error:
        raise httpx.RemoteProtocolError(str(error) or type(error).__name__) from error
    except (OSError, UnicodeError) as error:  # the latter where a host cannot be a name
        raise failed(str(error)) from error
