"""Connections to one service that are kept, for the calls of nets.

httpx does more for a request than a service does for a tiny net's gradient. It does all else, and
what only it can do: proxies, cookies, credentials in an address, pools that a caller brings.
Failures are raised as httpx raises them.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Mapping, Sequence
from urllib.request import getproxies

import httpx
from httpx import Timeout

from portgrad_client.exchange import Buffer, Connection, Received, opened

# Servers hang up on who has asked nothing for 5 seconds: what was used that long ago is left.
_KEPT, _KEPT_SECONDS = 20, 4.5


class Connections:
    """Connections to one service, which threads may share.

    Args:
        address: the service's.

    Attributes:
        host: its host.
    """

    def __init__(self, address: httpx.URL) -> None:
        secure = address.scheme == "https"
        self.host = address.host
        self._port = address.port or (443 if secure else 80)
        self._named = address.netloc.decode("ascii")
        self._prefix = address.raw_path.decode("ascii").rstrip("/")
        self._context = _context() if secure else None
        self._idle: deque[Connection] = deque()

    def post(
        self, target: str, headers: Mapping[str, str], body: Sequence[Buffer], timeout: Timeout
    ) -> Received:
        """Send a request and read what is answered.

        Args:
            target: path and query below the service's address.
            headers: all but those that tell the host and the body's length.
            body: its bytes, in pieces.
            timeout: for each of connecting, sending, and waiting for the answer.

        Raises:
            httpx.TransportError: no answer came.
        """
        told = {"Host": self._named, "Content-Length": str(sum(map(len, body))), **headers}
        connection = self._kept() or self._opened(timeout.connect)
        try:
            received = connection.post(self._prefix + target, told, body, timeout)
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return received

    def close(self) -> None:
        """Hang up."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> Connection | None:
        oldest = time.monotonic() - _KEPT_SECONDS
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread may have been quicker than any look
                return None
            if connection.rested > oldest and connection.quiet():
                return connection
            connection.close()

    def _keep(self, connection: Connection) -> None:
        if connection.ended or len(self._idle) >= _KEPT:
            connection.close()
        else:
            connection.rested = time.monotonic()
            self._idle.append(connection)

    def _opened(self, seconds: float | None) -> Connection:
        return Connection(opened(self.host, self._port, seconds, self._context))


def connections(address: str) -> Connections | None:
    """Connections to an address; None where it takes httpx to talk to it."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return None
    if getproxies() or url.userinfo or url.query or url.fragment or not url.host:
        return None
    return Connections(url)


def _context() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
