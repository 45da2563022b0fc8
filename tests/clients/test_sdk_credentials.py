"""Keys and tokens: sent with each request, to the service alone, and told to nobody."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import portgrad_client as sdk
from support.sdk import ADDRESS, Scripted, description

FOUND = httpx.Response(200, json=description())
KEY = f"pg_{'1' * 16}_{'2' * 64}"


def sent(service: Scripted) -> list[str | None]:
    return [request.headers.get("authorization") for request in service.requests]


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "No."}, headers=headers)


@pytest.mark.parametrize("given", [{"api_key": KEY}, {"token": KEY}, {"token": lambda: KEY}])
def test_it_goes_with_every_request(given: dict[str, Any]) -> None:
    service = Scripted(httpx.ConnectError("refused"), FOUND)
    client = service.client(**given)
    client.net("other")
    client.with_options(timeout=1.0).net("other")
    assert sent(service) == [f"Bearer {KEY}"] * 3
    assert KEY not in repr(client)
    assert KEY not in repr(vars(client))


def test_a_function_gives_a_fresh_one_for_each_try() -> None:
    fresh = iter("abc")
    service = Scripted(problem(503, "busy"), FOUND)
    client = service.client(token=lambda: next(fresh))
    client.net("other")
    client.net("other")
    assert sent(service) == ["Bearer a", "Bearer b", "Bearer c"]


def test_without_one_a_pools_own_is_left_as_it_is() -> None:
    service = Scripted(FOUND)
    http = httpx.Client(transport=httpx.MockTransport(service), auth=("ann", "secret"))
    sdk.Client(ADDRESS, http_client=http).net("other")
    assert sent(service) == ["Basic YW5uOnNlY3JldA=="]


def test_the_environment_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTGRAD_API_KEY", KEY)
    service = Scripted(FOUND)
    service.client().net("other")
    assert sent(service) == [None]


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": ""},
        {"api_key": "two words"},
        {"token": "line\n"},
        {"token": "é"},
        {"api_key": KEY, "token": KEY},
    ],
)
def test_what_is_none_is_refused_and_not_told(given: dict[str, str]) -> None:
    with pytest.raises(sdk.InvalidRequestError) as caught:
        Scripted().client(**given)
    assert caught.value.code == "invalid_credential"
    assert not any(value and value in str(caught.value) for value in given.values())


def test_what_a_function_gives_is_checked_too() -> None:
    service = Scripted(FOUND)
    with pytest.raises(sdk.InvalidRequestError, match="without spaces"):
        service.client(token=lambda: "a b").net("other")
    assert service.requests == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "key_revoked", sdk.UnauthenticatedError),
        (401, "token_expired", sdk.UnauthenticatedError),
        (403, "missing_scope", sdk.ForbiddenError),
        (504, "deadline_exceeded", sdk.DeadlineExceededError),
        (504, "compile_too_long", sdk.DeadlineExceededError),
    ],
)
def test_what_another_try_would_not_change_is_sent_once(
    status: int, code: str, kind: type[sdk.PortgradError], pauses: list[float]
) -> None:
    service = Scripted(problem(status, code))
    with pytest.raises(kind) as caught:
        service.client().net("other")
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert len(service.requests) == 1
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "code"), [(429, "rate_limited"), (503, "worker_died"), (504, "error")]
)
def test_what_it_may_change_is_sent_again_when_it_was_asked_to(
    status: int, code: str, pauses: list[float]
) -> None:
    service = Scripted(problem(status, code, **{"retry-after": "7"}), FOUND)
    service.client().net("other")
    assert len(service.requests) == 2
    assert pauses == [7.0]
