"""What is sent again, how often and after which pause; and what a failed connection becomes."""

from __future__ import annotations

from itertools import pairwise

import httpx
import numpy as np
import pytest

from portgrad_client import (
    Client,
    ConnectionFailedError,
    InvalidAnswerError,
    InvalidRequestError,
    PortgradError,
    RateLimitedError,
    ServerError,
    TimedOutError,
)
from support.sdk import ADDRESS, Scripted, answer, description, layers

FOUND = httpx.Response(200, json=description())
X = np.ones((1, 2), np.float32)


def refused(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("broken pipe"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        *(refused(status) for status in (429, 502, 503, 504)),
    ],
    ids=str,
)
def test_sent_again_until_it_succeeds(
    failure: httpx.Response | Exception, pauses: list[float]
) -> None:
    service = Scripted(failure, failure, FOUND)
    assert service.client().net("other").names == ("mine",)
    assert len(service.requests) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ReadTimeout("slow"), TimedOutError),
        (httpx.WriteTimeout("slow"), TimedOutError),
        (httpx.PoolTimeout("busy"), TimedOutError),
        (httpx.UnsupportedProtocol("no"), ConnectionFailedError),
        (httpx.LocalProtocolError("no"), ConnectionFailedError),
        (httpx.DecodingError("not gzip"), InvalidAnswerError),
        *((refused(status), PortgradError) for status in (301, 400, 404, 409, 413, 422, 500)),
    ],
    ids=str,
)
def test_not_sent_again(
    failure: httpx.Response | Exception, kind: type[PortgradError], pauses: list[float]
) -> None:
    service = Scripted(failure)
    with pytest.raises(kind):
        service.client().net("other")
    assert len(service.requests) == 1
    assert pauses == []


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError("refused"), ConnectionFailedError),
        (httpx.ConnectTimeout("slow"), TimedOutError),
        (refused(429), RateLimitedError),
        (refused(503), ServerError),
    ],
    ids=str,
)
@pytest.mark.parametrize("retries", [0, 1, 4])
def test_given_up_after_the_retries(
    failure: httpx.Response | Exception, kind: type[PortgradError], retries: int
) -> None:
    service = Scripted(failure)
    with pytest.raises(kind) as caught:
        service.client(max_retries=retries).net("other")
    assert len(service.requests) == retries + 1
    sent = {request.headers["x-request-id"] for request in service.requests}
    assert len(sent) == 1, "all tries of one call bear one id"
    assert isinstance(failure, httpx.Response) or caught.value.request_id in sent


def test_pauses_double_with_jitter_up_to_a_bound(pauses: list[float]) -> None:
    with pytest.raises(ServerError):
        Scripted(refused(503)).client(max_retries=8).net("other")
    longest = [0.25, 0.5, 1, 2, 4, 8, 8, 8]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert len(set(pauses)) == len(pauses)
    assert all(first < second for first, second in pairwise(pauses[:4]))


@pytest.mark.parametrize(
    ("header", "pause"),
    [("7", 7.0), ("0", 0.0), ("Sat, 01 Jan 2000 00:00:09 GMT", 9.0)],
)
def test_retry_after_is_honoured(header: str, pause: float, pauses: list[float]) -> None:
    headers = {"Retry-After": header, "Date": "Sat, 01 Jan 2000 00:00:00 GMT"}
    Scripted(refused(429, **headers), FOUND).client().net("other")
    assert pauses == [pause]


@pytest.mark.parametrize("header", ["soon", "-1", "Sat, 01 Jan 2000 00:00:09 GMT"])
def test_a_retry_after_that_says_nothing_is_ignored(header: str, pauses: list[float]) -> None:
    Scripted(refused(503, **{"Retry-After": header}), FOUND).client().net("other")
    assert 0.125 <= pauses[0] <= 0.25


def test_a_rest_longer_than_a_minute_is_told_instead(pauses: list[float]) -> None:
    service = Scripted(refused(429, **{"Retry-After": "3600"}))
    with pytest.raises(RateLimitedError):
        service.client().net("other")
    assert pauses == []


def test_a_gradient_is_sent_again_with_the_same_bytes() -> None:
    service = Scripted(refused(503), answer({"grad/Input": X}, targets=["Input"], none=[]))
    service.net().gradient(X)
    first, second = service.requests
    assert first.content == second.content
    assert first.url == second.url


def test_an_upload_is_sent_again_from_its_first_byte() -> None:
    service = Scripted(httpx.ReadError("reset"), FOUND)
    service.client().upload(layers())
    assert [request.content for request in service.requests] == [layers(), layers()]


def test_the_timeout_is_on_every_request() -> None:
    service = Scripted(FOUND)
    client = service.client(timeout=3.0)
    client.net("other")
    client.with_options(timeout=5.0, max_retries=0).net("other")
    client.upload(b"")
    allowed = [set(request.extensions["timeout"].values()) for request in service.requests]
    assert allowed == [{3.0}, {5.0}, {3.0}]


def test_the_timeout_is_a_minute_by_default() -> None:
    service = Scripted(FOUND)
    service.client().net("other")
    assert set(service.request.extensions["timeout"].values()) == {60.0}


def test_the_client_tells_its_name() -> None:
    service = Scripted(FOUND)
    service.client().net("other")
    assert service.request.headers["user-agent"].startswith("portgrad-client/")


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://there", ""])
def test_an_address_without_its_scheme_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequestError, match="http://127"):
        Client(address)


@pytest.mark.parametrize("options", [{"timeout": None}, {"max_retries": -1}])
def test_options_without_bounds_are_refused(options: dict[str, None]) -> None:
    with pytest.raises(InvalidRequestError):
        Client(ADDRESS, **options)  # type: ignore[arg-type]


def test_closing_closes_the_clients_own_pool_alone() -> None:
    pool = httpx.Client()
    with Client(ADDRESS, http_client=pool) as client:
        client.with_options(timeout=1.0).close()
    assert not pool.is_closed
    pool.close()
    with Client(ADDRESS) as client:
        own = client._transport.http
        client.with_options(timeout=1.0).close()
        assert not own.is_closed
    assert own.is_closed
