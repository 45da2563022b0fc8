"""One answer as it comes, read by httptools: its head, its body, and where it ends."""

from __future__ import annotations

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from portgrad_client.memory import room

MOST_HEAD_BYTES = 256 * 1024
_FIRST_FINAL = 200  # statuses before it are of interim answers, which others follow


class Incoming:
    """What has come of an answer.

    A body whose length is known has its place at once, where the rest of it may be received.

    Attributes:
        status: its status, once its head is whole.
        headers: names in lower case; what stood twice is one value.
        body: as far as it came.
        place: what is still empty of a body of known length.
        whole: whether all has come.
        kept: whether its connection bears another request, once it is whole.
    """

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._head_bytes = 0
        self._in_head = True
        self._to_the_end = False  # of the connection, where the body has no other
        self.status = 0
        self.headers: dict[str, str] = {}
        self._grown = bytearray()  # of a length that is not known
        self.body: bytearray | memoryview = self._grown
        self.place = memoryview(b"")
        self.whole = self.kept = False

    def feed(self, data: bytes) -> None:
        """Some bytes came; none where the connection ended.

        Raises:
            httpx.RemoteProtocolError: they are no answer, or an answer breaks off.
        """
        if not data:
            self._end()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self.whole:
                raise httpx.RemoteProtocolError(str(error) or type(error).__name__) from error
            self.kept = False  # what nobody asked for follows it
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                raise httpx.RemoteProtocolError("The head of the answer is too large.")

    def filled(self, size: int) -> None:
        """So many bytes came into the place; none where the connection ended.

        Raises:
            httpx.RemoteProtocolError: the answer breaks off.
        """
        if not size:
            self._end()
        self.place = self.place[size:]
        self.whole = not self.place

    def _end(self) -> None:
        if not self._to_the_end:
            raise httpx.RemoteProtocolError("Server disconnected without a whole answer.")
        self.whole = True

    # What the parser calls

    def on_message_begin(self) -> None:
        """An answer begins. There is one for each request."""
        if self.whole:
            raise HttpParserError("another answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or what follows the last piece of a body: that tells nothing here."""
        if self._in_head:
            named, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
            known = self.headers.get(named)
            self.headers[named] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.status = self._parser.get_status_code()
        self._in_head = False
        self.kept = self._parser.should_keep_alive()
        coded, size = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if coded is None and size is not None:
            self.body = self.place = room(int(size))
        else:
            self._to_the_end = not self.kept and "chunked" not in (coded or "").lower()

    def on_body(self, piece: bytes) -> None:
        """Some of the body."""
        if self.place:
            self.place[: len(piece)] = piece
            self.place = self.place[len(piece) :]
        else:
            self._grown += piece

    def on_message_complete(self) -> None:
        """All has come, of an interim answer perhaps."""
        if self.status >= _FIRST_FINAL:
            self.whole = True
            return
        self.headers = {}
        self._in_head = True
