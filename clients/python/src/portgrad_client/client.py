"""The client: one service, its pool of connections, and the nets it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace as changed
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from portgrad_client.connections import connections
from portgrad_client.errors import InvalidRequestError
from portgrad_client.net import Net
from portgrad_client.replies import fields
from portgrad_client.transport import Transport, checked
from portgrad_client.upload import Counted, External, Progress, Source, body_of


class Client:
    """A Portgrad service. Safe to share between threads; close it, or use it as a context.

    Args:
        base_url: the service's address, such as `http://127.0.0.1:8000`.
        timeout: seconds for each of connecting, sending, and waiting for the answer.
        api_key: a key that `portgrad keys create` made.
        token: a bearer token, or a function that gives one that has not expired; it is asked
            before each request.
        http_client: a pool of the caller's own, for proxies, certificates or tests; the caller
            closes it.
        max_retries: how often a request is sent again after a failed connection or the statuses
            429, 502, 503 and 504.

    A key or token is sent to this address alone. None is read from the environment, where it could
    be meant for another.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        token: str | Callable[[], str] | None = None,
        timeout: float | httpx.Timeout = 60.0,
        http_client: httpx.Client | None = None,
        max_retries: int = 2,
    ) -> None:
        self._owned = httpx.Client() if http_client is None else None
        http = http_client or self._owned
        assert http is not None
        credential, address = _credential(api_key, token), base_url.rstrip("/")
        transport = Transport(http, address, timeout, max_retries, credential)
        direct = None if self._owned is None else connections(address)
        self._transport = changed(transport, direct=direct)

    def __repr__(self) -> str:
        return f"Client({self._transport.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless they are of a pool that the caller gave."""
        if self._owned is not None:
            self._owned.close()
            if self._transport.direct is not None:
                self._transport.direct.close()

    def with_options(
        self, *, timeout: float | httpx.Timeout | None = None, max_retries: int | None = None
    ) -> Client:
        """A client with other options on the same connections, which this one closes."""
        options: dict[str, Any] = {"timeout": timeout, "max_retries": max_retries}
        given = {name: value for name, value in options.items() if value is not None}
        other = Client.__new__(Client)
        other._owned = None
        other._transport = changed(self._transport, **given)
        return other

    def upload(
        self,
        model: Source,
        *,
        name: str | None = None,
        replace: bool = False,
        shared: bool = False,
        batchable: bool | None = None,
        external: External | None = None,
        progress: Progress | None = None,
    ) -> Net:
        """Upload a net. Bytes that are already there are not stored again.

        Args:
            model: the ONNX file: a path, or its bytes.
            name: a name for the net.
            replace: move the name if it belongs to another net.
            shared: let everybody use the net, by its id; `Net.share` does so later.
            batchable: have the service run calls of yours that wait together as one batch; False
                takes that back.
            external: files with external data: paths, whose locations are told from the model's
                folder, or a mapping from location to path or bytes.
            progress: called with the bytes sent so far and their total; from the start again if
                the upload is sent again.

        Raises:
            InvalidNetError: the bytes are no net that can be served.
            InvalidRequestError: `not_batchable`, with the node where examples may meet.
            ConflictError: the name belongs to another net.
            TooLargeError: larger than the service takes.
        """
        params = {"name": name} if name is not None else {}
        params |= {"replace": "true"} if replace else {}
        params |= {"shared": "true"} if shared else {}
        params |= {} if batchable is None else {"batchable": str(batchable).lower()}
        with body_of(model, external) as rewound:

            def build() -> httpx.Request:
                request = self._transport.build("POST", "/nets", params=params, **rewound())
                if progress is not None:
                    request.stream = Counted(request, progress)
                return request

            return Net(self._transport, fields(self._transport.send(build)))

    def net(self, ref: str) -> Net:
        """The net of that name or id.

        Raises:
            NotFoundError: there is none.
        """
        return Net(self._transport, fields(self._transport.call("GET", _path(ref))))

    def nets(self) -> Iterator[Net]:
        """All nets of yours in order of id, fetched a page at a time."""
        params: dict[str, str] = {}
        while True:
            page = fields(self._transport.call("GET", "/nets", params=params), "nets", "next")
            for described in page["nets"]:
                yield Net(self._transport, described)
            if page["next"] is None:
                return
            params = {"after": page["next"]}

    def delete(self, ref: str) -> None:
        """Remove a name, or by its id a net with all its names."""
        self._transport.call("DELETE", _path(ref))


def _credential(
    api_key: str | None, token: str | Callable[[], str] | None
) -> Callable[[], str] | None:
    """What gives the credential of each request."""
    if api_key is not None and token is not None:
        raise InvalidRequestError(
            "A client has a key or a token, not both.", code="invalid_credential"
        )
    if callable(token):
        return token
    given = api_key if api_key is not None else token
    if given is None:
        return None
    fixed = checked(given)
    return lambda: fixed


def _path(ref: str) -> str:
    if not ref:
        raise InvalidRequestError("A net has a name or an id; this is empty.", code="invalid_name")
    return f"/nets/{quote(ref, safe='')}"
