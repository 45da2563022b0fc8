"""One request and its answer, as uvicorn has them, with less done for answers that come whole.

An answer's head is written with the first of its body, as ASGI asks for: alone it would wake the
client up for nothing.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from portgrad.api.server.incoming import Connection, Incoming, Taken

_OK = 200


class Cycle(RequestResponseCycle):
    """One request and its answer. It is the extension `incoming.EXTENSION` of its own scope.

    Args:
        connection: where the request came from.
        given: uvicorn's.
    """

    def __init__(self, connection: Connection, **given: Any) -> None:
        super().__init__(**given)
        self._connection = connection
        self._head: Any = None

    def at_hand(self) -> bytes | None:
        """The body, if all of it has come and nobody has asked for it; nobody will, after this."""
        if self.more_body or not self.body or self.response_complete:
            return None
        body, self.body = bytes(self.body), bytearray()
        self.message_event.clear()
        self.waiting_for_100_continue = False
        self.flow.resume_reading()
        return body

    def incoming(self, size: int, take: Taken) -> Incoming:
        """The body, of which so much is to come, past the parser."""
        return Incoming(self._connection, self, size, take)

    async def send(self, message: Any) -> None:
        """See uvicorn's, which writes all but what is answered well and at once."""
        if not self.response_started and message["type"] == "http.response.start":
            self._head, self.response_started = message, True
            return
        head, self._head = self._head, None
        if head is not None:
            whole = not message.get("more_body") and self.keep_alive and head["status"] == _OK
            if whole and not self.flow.write_paused and not self.disconnected:
                lines = self._lines(head["headers"], message["body"])
                if lines is not None:
                    self._answer(lines, message["body"])
                    return
            self.response_started = False
            await super().send(head)
        await super().send(message)

    def _lines(self, headers: list[tuple[bytes, bytes]], body: bytes) -> list[bytes] | None:
        """The lines of a head that tells the length of its body and nothing of the connection."""
        if self.scope["method"] == "HEAD":
            return None
        lines, size = [], b""
        for name, value in headers:
            if name == b"content-length":
                size = value
            elif name in {b"connection", b"transfer-encoding"}:
                return None
            lines.append(name + b": " + value)
        return lines if size == b"%d" % len(body) else None

    def _answer(self, lines: list[bytes], body: bytes) -> None:
        told = [name + b": " + value for name, value in self.default_headers]
        head = STATUS_LINE[_OK] + b"\r\n".join([*told, *lines, b"", b""])
        if head.count(b"\n") != len(told) + len(lines) + 2 or head.count(b"\r") != head.count(
            b"\n"
        ):
            raise RuntimeError("A header holds the end of a line.")
        self.transport.writelines([head, body])
        self.response_complete = True
        self.message_event.set()
        self.on_response()
