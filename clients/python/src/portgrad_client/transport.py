"""HTTP: one pool of connections, timeouts always, and bounded retries.

Retrying is right here because a gradient is pure and an upload is addressed by its content. What
is retried: a connection that failed, and the statuses 429, 502, 503 and 504. A timeout is not, nor
a call that the service ended for its length: another try would take as long again.

httpx sends all but the calls of nets. These go by shorter ways (`connections`) where they can.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from importlib.metadata import version
from os import urandom
from time import sleep
from typing import Any

import httpx

from portgrad_client.connections import Connections
from portgrad_client.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidAnswerError,
    InvalidRequestError,
    PortgradError,
    TimedOutError,
)
from portgrad_client.exchange import Buffer, Received
from portgrad_client.problems import error_of
from portgrad_client.replies import Reply, reply_of

RETRIED = frozenset({429, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
# A service that asks for a longer rest than this is told to the caller instead of waited for.
LONGEST_RETRY_AFTER = 60.0
_CREDENTIAL = re.compile("[!-~]+")
_USER_AGENT = f"portgrad-client/{version('portgrad-client')}"
# Waiting to send again helps against none of these.
_HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
# Headers of an answer that httpx is to look at.
_ITS_OWN = frozenset({"content-encoding", "set-cookie"})


@dataclass(frozen=True)
class Transport:
    """Sends requests to one service.

    Attributes:
        http: the pool.
        base_url: the service's address, without a slash at its end.
        timeout: seconds for each of connecting, sending, and waiting for the answer.
        max_retries: how often a request is sent again.
        credential: gives the key or token for each try; None sends none.
        direct: what calls of nets take in place of the pool, where they may.
    """

    http: httpx.Client
    base_url: str
    timeout: float | httpx.Timeout
    max_retries: int
    credential: Callable[[], str] | None = field(default=None, repr=False)
    direct: Connections | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise InvalidRequestError(
                "The address of a service starts with its scheme.",
                code="invalid_address",
                expected="such as http://127.0.0.1:8000",
                found=repr(self.base_url),
            )
        if self.timeout is None or self.max_retries < 0:
            raise InvalidRequestError("A timeout is a number of seconds, and retries at least 0.")

    @cached_property
    def _waits(self) -> httpx.Timeout:
        return httpx.Timeout(self.timeout)

    def call(self, method: str, path: str, **request: Any) -> Reply:
        """Send a request whose body can be sent again."""
        return self.send(lambda: self.build(method, path, **request))

    def build(self, method: str, path: str, **request: Any) -> httpx.Request:
        """A request to a path of the service."""
        url = self.base_url + path
        return self.http.build_request(method, url, timeout=self.timeout, **request)

    def send(
        self,
        build: Callable[[], httpx.Request],
        receive: Callable[[httpx.Response], None] | None = None,
    ) -> Reply:
        """Send what `build` makes, anew for each try.

        Args:
            build: makes the request.
            receive: takes the body of a good answer as it comes, anew for each try; without it
                the answer is read whole.

        Raises:
            ConnectionFailedError: no answer came.
            TimedOutError: none came in time.
            PortgradError: the class that stands for the error that was answered.
        """

        def once(headers: Mapping[str, str]) -> Reply | httpx.Response:
            request = build()
            request.headers.update(headers)
            response = self.http.send(request, stream=receive is not None)
            with closing(response):
                if receive is not None and response.is_success:
                    receive(response)
                    return Reply(response.status_code, response.headers, b"", request.url.host)
                response.read()
            return reply_of(response) if response.is_success else response

        return self._tried(once)

    def post(
        self, path: str, body: Sequence[Buffer], headers: Mapping[str, str], query: str = ""
    ) -> Reply:
        """Send a call of a net; raises as `send` does.

        Args:
            path: whose it is, and which.
            body: its bytes, in pieces.
            headers: what tells of these, and of the answer.
            query: what follows the path, as it stands in an address.
        """
        direct, target = self.direct, f"{path}?{query}" if query else path
        if direct is None or self.http.cookies:
            content = b"".join(body)
            return self.call("POST", target, content=content, headers=headers)

        def once(own: Mapping[str, str]) -> Reply | httpx.Response:
            received = direct.post(target, {**headers, **own}, body, self._waits)
            if received.status != 200 or received.headers.keys() & _ITS_OWN:
                return self._as_by_httpx(received, target)
            return Reply(received.status, received.headers, received.content, direct.host)

        return self._tried(once)

    def _as_by_httpx(self, received: Received, target: str) -> Reply | httpx.Response:
        """An answer that takes more than to be read."""
        response = httpx.Response(
            received.status,
            headers=received.headers,
            content=bytes(received.content),
            request=httpx.Request("POST", self.base_url + target),
        )
        self.http.cookies.extract_cookies(response)
        return reply_of(response) if response.is_success else response

    def _tried(self, once: Callable[[Mapping[str, str]], Reply | httpx.Response]) -> Reply:
        """The good answer to one of several tries; each gets the headers that all requests have."""
        request_id = urandom(16).hex()
        for tries_left in range(self.max_retries, -1, -1):
            asked, headers = None, self._headers(request_id)
            try:
                response = once(headers)
            except httpx.RequestError as error:
                if tries_left == 0 or not _may_retry(error):
                    raise _translated(error, self, request_id) from error
            else:
                if isinstance(response, Reply):
                    return response
                problem = error_of(response)
                asked = _retry_after(response)
                long = asked is not None and asked > LONGEST_RETRY_AFTER
                hopeless = response.status_code not in RETRIED or long
                if tries_left == 0 or hopeless or isinstance(problem, DeadlineExceededError):
                    raise problem
            sleep(_backoff(self.max_retries - tries_left) if asked is None else asked)
        raise AssertionError("the last try returns or raises")

    def _headers(self, request_id: str) -> dict[str, str]:
        headers = {"X-Request-Id": request_id, "User-Agent": _USER_AGENT}
        if self.credential is not None:
            headers["Authorization"] = f"Bearer {checked(self.credential())}"
        return headers


def checked(credential: str) -> str:
    """A key or token as it can stand in a header.

    Raises:
        InvalidRequestError: it cannot. It is not told, as errors are logged.
    """
    if isinstance(credential, str) and _CREDENTIAL.fullmatch(credential):
        return credential
    raise InvalidRequestError(
        "A key or token is text without spaces and line ends.",
        code="invalid_credential",
        found="nothing" if not credential else type(credential).__name__,
        remedy="Pass it alone, without `Bearer` before it.",
    )


def _translated(error: httpx.RequestError, transport: Transport, request_id: str) -> PortgradError:
    if isinstance(error, httpx.TimeoutException):
        return TimedOutError(
            f"{transport.base_url} did not answer within the timeout.",
            expected=f"an answer within {transport.timeout} s",
            found=type(error).__name__,
            remedy="Allow more with client.with_options(timeout=...), or send less at once.",
            request_id=request_id,
        )
    if isinstance(error, httpx.TransportError):
        return ConnectionFailedError(
            f"There is no connection to {transport.base_url}.",
            found=str(error) or type(error).__name__,
            remedy="Check the address, and that the service runs.",
            request_id=request_id,
        )
    return InvalidAnswerError(
        f"The answer of {transport.base_url} cannot be read.",
        found=str(error) or type(error).__name__,
        remedy="Check that the address is that of a Portgrad service.",
        request_id=request_id,
    )


def _may_retry(failed: httpx.RequestError) -> bool:
    if isinstance(failed, httpx.TimeoutException):
        return isinstance(failed, httpx.ConnectTimeout)
    return isinstance(failed, httpx.TransportError) and not isinstance(failed, _HOPELESS)


def _backoff(tried: int) -> float:
    """Seconds to wait: doubling, and at random so that many clients do not return at once."""
    doubled: float = FIRST_PAUSE * 2**tried
    return min(LONGEST_PAUSE, doubled) * random.uniform(0.5, 1.0)


def _retry_after(response: httpx.Response) -> float | None:
    """The rest that the service asks for: seconds, or a date by the service's own clock."""
    header = response.headers.get("retry-after", "").strip()
    if header.isdecimal():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
        now = parsedate_to_datetime(response.headers["date"])
        return max((until - now).total_seconds(), 0.0)
    except (ValueError, TypeError, KeyError):
        return None
