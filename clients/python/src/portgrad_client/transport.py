"""HTTP: one pool of connections, timeouts always, and bounded retries.

Retrying is right here because a gradient is pure and an upload is addressed by its content. What
is retried: a connection that failed, and the statuses 429, 502, 503 and 504. A timeout is not, nor
a call that the service ended for its length: another try would take as long again.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from time import sleep
from typing import Any
from uuid import uuid4

import httpx

from portgrad_client.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidAnswerError,
    InvalidRequestError,
    PortgradError,
    TimedOutError,
)
from portgrad_client.problems import error_of

RETRIED = frozenset({429, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
# A service that asks for a longer rest than this is told to the caller instead of waited for.
LONGEST_RETRY_AFTER = 60.0
_CREDENTIAL = re.compile("[!-~]+")
_USER_AGENT = f"portgrad-client/{version('portgrad-client')}"
# Waiting to send again helps against none of these.
_HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


@dataclass(frozen=True)
class Transport:
    """Sends requests to one service.

    Attributes:
        http: the pool.
        base_url: the service's address, without a slash at its end.
        timeout: seconds for each of connecting, sending, and waiting for the answer.
        max_retries: how often a request is sent again.
        credential: gives the key or token for each try; None sends none.
    """

    http: httpx.Client
    base_url: str
    timeout: float | httpx.Timeout
    max_retries: int
    credential: Callable[[], str] | None = field(default=None, repr=False)

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

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
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
    ) -> httpx.Response:
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
        request_id = uuid4().hex
        for tries_left in range(self.max_retries, -1, -1):
            pause = _backoff(self.max_retries - tries_left)
            try:
                response = self._once(build(), request_id, receive)
            except ConnectionFailedError as failed:
                if tries_left == 0 or not _may_retry(failed):
                    raise
            else:
                if response.is_success:
                    return response
                error = error_of(response)
                asked = _retry_after(response)
                pause = pause if asked is None else asked
                hopeless = response.status_code not in RETRIED or pause > LONGEST_RETRY_AFTER
                if tries_left == 0 or hopeless or isinstance(error, DeadlineExceededError):
                    raise error
            sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _once(
        self,
        request: httpx.Request,
        request_id: str,
        receive: Callable[[httpx.Response], None] | None,
    ) -> httpx.Response:
        request.headers["X-Request-Id"] = request_id
        request.headers["User-Agent"] = _USER_AGENT
        if self.credential is not None:
            request.headers["Authorization"] = f"Bearer {checked(self.credential())}"
        try:
            response = self.http.send(request, stream=receive is not None)
            with closing(response):
                if receive is not None and response.is_success:
                    receive(response)
                else:
                    response.read()
        except httpx.RequestError as error:
            raise _translated(error, self, request_id) from error
        return response


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


def fields(response: httpx.Response, *required: str) -> dict[str, Any]:
    """The JSON object that was answered.

    Raises:
        InvalidAnswerError: it is none, or lacks a field.
    """
    try:
        body = response.json()
        missing = [name for name in required if name not in body]
    except (ValueError, TypeError):
        body, missing = None, ["JSON"]
    if isinstance(body, dict) and not missing:
        return body
    raise InvalidAnswerError(
        f"{response.request.url.host} does not answer as Portgrad does.",
        expected=", ".join(required),
        found=response.text[:80] or "an empty body",
        remedy="Check that the address is that of a Portgrad service.",
        status=response.status_code,
        request_id=response.headers.get("x-request-id"),
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


def _may_retry(failed: ConnectionFailedError) -> bool:
    cause = failed.__cause__
    if isinstance(failed, TimedOutError):
        return isinstance(cause, httpx.ConnectTimeout)
    return not isinstance(cause, _HOPELESS)


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
