"""HTTP/1.1 over one connection, as a client: a request goes out, an answer is read."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import httpx

Buffer: TypeAlias = bytes | bytearray | memoryview

_MOST_HEAD = 64 * 1024
_AT_ONCE = 64 * 1024
_STATUS = re.compile(r"(HTTP/1\.[01]) ([1-9][0-9]{2})(?: .*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DIGITS, _HEX_DIGITS = re.compile("[0-9]{1,15}"), re.compile(rb"[0-9A-Fa-f]{1,12}")


@dataclass(slots=True)
class Received:
    """An answer as it came. Names of headers are in lower case; what stood twice is one value."""

    status: int
    headers: dict[str, str]
    content: bytes | bytearray


class Connection:
    """One connection, for one request at a time.

    Attributes:
        ended: whether it bears no other request.
        rested: when it was used last, on the monotonic clock.
    """

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._data = b""  # what came and was not read yet
        self._poll = select.poll()
        self._poll.register(opened, select.POLLIN)
        self.ended = False
        self.rested = 0.0

    def quiet(self) -> bool:
        """Whether nothing has come that nobody asked for: no end of it, either."""
        return not self._data and not self._poll.poll(0)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def exchange(self, request: Sequence[Buffer], timeout: httpx.Timeout) -> Received:
        """Send a request, its head and its body, and read what is answered.

        Raises:
            httpx.TransportError: no answer came.
        """
        try:
            self._send(request, timeout.write)
        except httpx.WriteError as failed:
            # Who refuses a body may answer before all of it has come, and hang up.
            self.ended = True
            try:
                return self._receive(timeout.read)
            except httpx.TransportError:
                raise failed from None
        return self._receive(timeout.read)

    def _send(self, pieces: Sequence[Buffer], seconds: float | None) -> None:
        if sum(map(len, pieces)) <= _AT_ONCE:
            pieces = [b"".join(pieces)]
        self._wait(seconds)
        with failing_as(httpx.WriteTimeout, httpx.WriteError):
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[self._socket.send(left) :]

    def _receive(self, seconds: float | None) -> Received:
        self._wait(seconds)
        with failing_as(httpx.ReadTimeout, httpx.ReadError):
            version, status, headers = self._head()
            while status < 200:  # more is to come
                version, status, headers = self._head()
            said = headers.get("connection", "").lower()
            self.ended |= version == "HTTP/1.0" or "close" in said
            return Received(status, headers, self._body(status, headers))

    def _wait(self, seconds: float | None) -> None:
        if self._socket.gettimeout() != seconds:
            self._socket.settimeout(seconds)

    def _head(self) -> tuple[str, int, dict[str, str]]:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        match = _STATUS.fullmatch(first)
        if match is None or match[2] == "101":
            raise httpx.RemoteProtocolError(f"the answer begins with {first[:40]!r}")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            if not _NAME.fullmatch(name):
                raise httpx.RemoteProtocolError(f"{line[:40]!r} is no header")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return match[1], int(match[2]), headers

    def _body(self, status: int, headers: dict[str, str]) -> bytes | bytearray:
        if status in (204, 304):
            return b""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise httpx.RemoteProtocolError(f"the answer is sent as {coding[:40]!r}")
            return self._chunks()
        if length is None:
            self.ended = True
            return self._rest()
        if not _DIGITS.fullmatch(length):
            raise httpx.RemoteProtocolError(f"the answer has a length of {length[:40]!r}")
        return self._exactly(int(length))

    def _chunks(self) -> bytearray:
        body = bytearray()
        while True:
            size = self._until(b"\r\n").partition(b";")[0].strip()
            if not _HEX_DIGITS.fullmatch(size):
                raise httpx.RemoteProtocolError(f"a chunk has a length of {size[:40]!r}")
            if int(size, 16) == 0:
                break
            body += self._exactly(int(size, 16))
            if self._exactly(2) != b"\r\n":
                raise httpx.RemoteProtocolError("a chunk is longer than it says")
        while self._until(b"\r\n"):
            pass  # headers that come behind a body tell nothing here
        return body

    # What comes, in the pieces that these are made of

    def _until(self, mark: bytes) -> bytes:
        """All that comes before a mark; the mark is dropped."""
        while (end := self._data.find(mark)) < 0:
            if len(self._data) > _MOST_HEAD:
                raise httpx.RemoteProtocolError("the answer's head has no end")
            self._data += self._some()
        found, self._data = self._data[:end], self._data[end + len(mark) :]
        return found

    def _exactly(self, size: int) -> bytes | bytearray:
        if len(self._data) >= size:
            found, self._data = self._data[:size], self._data[size:]
            return found
        body = bytearray(size)
        place = memoryview(body)
        place[: len(self._data)] = self._data
        place, self._data = place[len(self._data) :], b""
        while place:
            came = self._socket.recv_into(place)
            if not came:
                raise _hung_up()
            place = place[came:]
        return body

    def _rest(self) -> bytearray:
        body, self._data = bytearray(self._data), b""
        while more := self._socket.recv(_AT_ONCE):
            body += more
        return body

    def _some(self) -> bytes:
        some = self._socket.recv(_AT_ONCE)
        if not some:
            raise _hung_up()
        return some


@contextmanager
def failing_as(
    late: type[httpx.TimeoutException], failed: type[httpx.TransportError]
) -> Iterator[None]:
    """A socket's failures as httpx tells them."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except (OSError, UnicodeError) as error:  # the latter where a host cannot be a name
        raise failed(str(error)) from error


def _hung_up() -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError("Server disconnected without sending a response.")
