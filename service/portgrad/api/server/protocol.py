"""uvicorn's HTTP/1.1 over httptools, for clients that mean harm.

What uvicorn leaves open is closed here: how long and how large a head may be, how many requests
may wait in one connection, how slowly answers may be read, what becomes of a body that nobody
reads, and how what is no HTTP is answered. A connection is, by turns,

    waiting       for a request: uvicorn's keep-alive seconds once it was answered, and
                  `header_seconds` from the first byte that came until the headers are whole
    answering     one request, with others behind it
    closing       nothing more is read; what was written is on its way, for so long as it moves
"""

from __future__ import annotations

import asyncio
import urllib.parse
from asyncio import TimerHandle
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from portgrad.api.problems import SlowHead
from portgrad.api.server import heads
from portgrad.api.server.cycle import Cycle
from portgrad.api.server.edge import MOST_HEAD_BYTES, MOST_PIPELINED, Edge
from portgrad.api.server.incoming import EXTENSION
from portgrad.api.server.reader import Reader
from portgrad.api.server.refusals import Refusal, as_bytes
from portgrad.errors import Busy, PortgradError


class TooManyError(Exception):
    """Ends the parser's work on what a client sent in advance."""


class Protocol(HttpToolsProtocol):
    """One connection.

    Args:
        edge: what all connections of the server share.
        config, server_state, app_state, _loop: uvicorn's.
    """

    def __init__(
        self,
        edge: Edge,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._edge = edge
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None
        self._closing = False

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """It is open: the first request is to come, unless there is no place for it."""
        super().connection_made(transport)
        self._edge.open += 1
        self._reader = Reader(transport, self.loop, self._edge)
        if len(self.connections) > self._edge.most and not self._edge.make_room(self):
            transport.write(self._refused(_no_place()))
            self._close()
            return
        self._edge.waiting[self] = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by whomever."""
        self._closing = True
        self._edge.open -= 1
        self._edge.waiting.pop(self, None)
        self._cancel_head()
        self._reader.stop()
        if self._answering is not None and self._answering is not self.cycle:
            self._answering.disconnected = True  # uvicorn tells the last request alone
            self._answering.message_event.set()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def give_way(self) -> None:
        """Close, as another connection needs the place."""
        self._edge.waiting.pop(self, None)
        self._close()

    def shutdown(self) -> None:
        """The server stops: end with the answer that is under way, or now."""
        if self._answering is None or self._answering.response_complete:
            self._close()
        else:
            self._last.keep_alive = False

    def timeout_keep_alive_handler(self) -> None:
        """No other request came."""
        self._close()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered."""
        super().pause_writing()
        self._reader.watch()

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        if not self._closing:
            self._reader.stop()

    # What comes

    def data_received(self, data: bytes) -> None:
        """Some bytes of a head, of a body, or of several requests."""
        if self._closing:
            return
        self._unset_keepalive_if_required()
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]  # answered as HTTP/1.1, as what follows it is
                if data and not self._closing:
                    continue
            except httptools.HttpParserError as error:
                self._broken(error)
            break
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self._stop_reading(heads.too_large(f"more than {MOST_HEAD_BYTES} bytes"))
        elif self._in_head or self._idle:
            self._await_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is whole: answer it, or let it wait behind those before it."""
        self._in_head = False
        self._cancel_head()
        version = self.parser.get_http_version()
        wrong = heads.wrong(self.url, self.headers, version)
        if wrong is not None:
            self.url = b"/"  # the refusal is the same wherever it was sent
            self._edge.refused[wrong.code] += 1
        app: Any = self.app if wrong is None else Refusal(wrong)
        cycle = self._cycle(version)
        last, self.cycle = self.cycle, cycle
        if last is None or last.response_complete:
            self._edge.waiting.pop(self, None)
            self._start_asgi_task(cycle, app)
        elif len(self.pipeline) < MOST_PIPELINED:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))
        else:
            self.cycle = last
            raise TooManyError(f"more than {MOST_PIPELINED} requests wait for their answers")

    def _cycle(self, version: str) -> RequestResponseCycle:
        url = httptools.parse_url(self.url)
        raw: bytes = url.path or b"/"
        path = urllib.parse.unquote(raw.decode("ascii"))
        self.scope["http_version"] = version
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["path"] = self.root_path + path
        self.scope["raw_path"] = self.root_path.encode("ascii") + raw
        self.scope["query_string"] = url.query or b""
        cycle = Cycle(
            self,
            scope=self.scope,
            transport=self,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        extension: Any = cycle
        self.scope["extensions"] = {EXTENSION: extension}
        return cycle

    def divert(self, to: asyncio.BufferedProtocol) -> None:
        """Let another protocol read the rest of a body."""
        self.flow.pause_reading()  # how it is read is decided where reading starts
        self.transport.set_protocol(to)
        self.flow.resume_reading()

    def resume(self, *, whole: bool) -> None:
        """Read again, after the end of a body that is whole, or to the end of one that is not."""
        if whole:  # this parser would wait for what it has not seen
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        else:
            self.cycle.keep_alive = False
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self.transport.set_protocol(self)
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """An answer is written. What is left of its request's body is read and dropped."""
        super().on_response_complete()
        if self._idle and not self._closing:
            self._edge.waiting[self] = None

    @property
    def _last(self) -> RequestResponseCycle:
        """What is answered last of all that came."""
        return self.pipeline[0][0] if self.pipeline else self.cycle

    @property
    def _idle(self) -> bool:
        return self._answering is None or self._answering.response_complete

    # What goes: a cycle takes the connection for its transport

    def write(self, data: bytes) -> None:
        """Write some of an answer."""
        self.transport.write(data)

    def writelines(self, data: list[bytes]) -> None:
        """Write several pieces of an answer."""
        self.transport.writelines(data)

    def is_closing(self) -> bool:
        """Whether writing is in vain."""
        return self.transport.is_closing()

    def close(self) -> None:
        """End after an answer that says so.

        Where the client is still sending, it is heard out.
        """
        self.pipeline.clear()
        if self.cycle.more_body:
            self._hear_out()
        else:
            self._close()

    # Ends

    def _broken(self, error: Exception) -> None:
        """What came is no HTTP, or no more of it."""
        self._stop_reading(heads.malformed(str(error) or "it cannot be read"))

    def _stop_reading(self, why: PortgradError) -> None:
        """Say why where it can be said, in the order of the requests, and end."""
        cycle = self.cycle
        if self._idle:
            self._say(why)
        elif cycle is self._answering and cycle.more_body and not self._in_head:
            # The body that the application is waiting for will not come.
            if cycle.response_started:
                self._close()
            else:
                self._say(why)
        else:
            if self.pipeline and cycle.more_body and not self._in_head:
                self.pipeline.popleft()
            self._end_after_answers()

    def _end_after_answers(self) -> None:
        """Read no more, and close when all that was asked is answered."""
        self._closing = True
        self._cancel_head()
        self._last.keep_alive = False

    def _refused(self, error: PortgradError) -> bytes:
        self._edge.refused[error.code] += 1
        return as_bytes(error, self.server_state.default_headers)

    def _say(self, error: PortgradError) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._refused(error))
            self._hear_out()

    def _hear_out(self) -> None:
        """Read on for a while, as a connection that is closed on what was sent loses the answer."""
        self._closing = True
        self._cancel_head()
        self.flow.resume_reading()
        if self.transport.can_write_eof():  # TLS cannot
            self.transport.write_eof()
        self._reader.linger()
        self._edge.waiting[self] = None

    def _close(self) -> None:
        self._closing = True
        self._cancel_head()
        self.transport.close()
        self._reader.watch()

    # The clock of heads

    def _await_head(self) -> None:
        if self._head_timer is None and not self._closing:
            self._head_timer = self.loop.call_later(self._edge.head_seconds, self._head_too_slow)

    def _cancel_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self._in_head and self._idle:
            self._say(_too_slow(self._edge.head_seconds))
        elif self._in_head:
            self._end_after_answers()
        else:
            self._close()


def _too_slow(seconds: float) -> SlowHead:
    return SlowHead(
        "The headers did not arrive in time.",
        where="headers",
        expected=f"all of them within {seconds:g} seconds",
        remedy="Send the request again, over a faster connection.",
    )


def _no_place() -> Busy:
    return Busy(
        "The service has as many connections as it may have, and each is being answered.",
        code="too_many_connections",
        remedy="Try again, or raise PORTGRAD_MAX_CONNECTIONS.",
    )
