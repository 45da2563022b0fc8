"""Problems of the service, and what proxies send instead, as exceptions."""

from __future__ import annotations

import pickle
from typing import Any

import httpx
import pytest

import portgrad_client as sdk
from support.sdk import Scripted

PROBLEM = {
    "type": "urn:portgrad:problem:unknown_port",
    "title": "The request does not fit",
    "status": 422,
    "code": "unknown_port",
    "detail": "The net has no input port 'imput'.",
    "where": "imput",
    "expected": "input",
    "found": "imput",
    "remedy": "Did you mean 'input'?",
    "request_id": "r1",
}


def problem(status: int, code: str, **fields: str) -> httpx.Response:
    body: dict[str, Any] = {**PROBLEM, "status": status, "code": code, **fields}
    headers = {"content-type": "application/problem+json"}
    return httpx.Response(status, json=body, headers=headers)


def raised(response: httpx.Response, ref: str = "other") -> sdk.PortgradError:
    with pytest.raises(sdk.PortgradError) as caught:
        Scripted(response).client(max_retries=0).net(ref)
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_json", sdk.BadRequestError),
        (405, "method_not_allowed", sdk.BadRequestError),
        (401, "unauthorized", sdk.UnauthenticatedError),
        (404, "net_not_found", sdk.NotFoundError),
        (409, "name_taken", sdk.ConflictError),
        (413, "body_too_large", sdk.TooLargeError),
        (422, "unknown_port", sdk.UnprocessableError),
        (422, "unsupported_operator", sdk.UnsupportedOperatorError),
        (422, "not_runnable", sdk.UnsupportedOperatorError),
        (422, "not_built", sdk.NotBuiltError),
        (422, "run_failed", sdk.RunFailedError),
        (429, "rate_limited", sdk.RateLimitedError),
        (500, "internal_error", sdk.ServerError),
        (503, "store_full", sdk.ServerError),
    ],
)
def test_one_class_for_each_kind(status: int, code: str, kind: type[sdk.PortgradError]) -> None:
    error = raised(problem(status, code))
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("not_onnx", sdk.InvalidNetError),
        ("external_data_missing", sdk.InvalidNetError),
        ("not_runnable", sdk.UnsupportedOperatorError),
        ("invalid_name", sdk.UnprocessableError),
        ("invalid_location", sdk.UnprocessableError),
    ],
)
def test_of_an_upload(code: str, kind: type[sdk.PortgradError]) -> None:
    with pytest.raises(sdk.PortgradError) as caught:
        Scripted(problem(422, code)).client().upload(b"")
    assert type(caught.value) is kind


def test_every_field_of_a_problem_is_kept() -> None:
    error = raised(problem(422, "unknown_port"))
    fields = ("code", "detail", "where", "expected", "found", "remedy", "status", "request_id")
    assert {name: getattr(error, name) for name in fields} == {
        name: PROBLEM[name] for name in fields
    }
    assert str(error) == (
        "The net has no input port 'imput'. Where: imput. Expected: input. Found: imput. "
        "Did you mean 'input'? [422, unknown_port, request r1]"
    )


def test_errors_can_cross_processes() -> None:
    error = pickle.loads(pickle.dumps(raised(problem(422, "unknown_port"))))
    assert type(error) is sdk.UnprocessableError
    assert (error.code, error.request_id) == ("unknown_port", "r1")


HTML = "<html>\n<body>Bad gateway</body></html>"


@pytest.mark.parametrize(
    ("response", "kind", "said"),
    [
        (httpx.Response(502, html=HTML), sdk.ServerError, "answered 502 Bad Gateway"),
        (httpx.Response(502, html=HTML), sdk.ServerError, "<body>Bad gateway</body>"),
        (httpx.Response(404, text=""), sdk.NotFoundError, "an empty body"),
        (httpx.Response(418, json=["tea"]), sdk.BadRequestError, "localhost answered 418"),
        (httpx.Response(302), sdk.BadRequestError, "answered 302 Found"),
        (
            httpx.Response(500, content=b"{", headers={"content-type": "application/json"}),
            sdk.ServerError,
            "answered 500",
        ),
        (httpx.Response(403, json={"title": "Log in first"}), sdk.ForbiddenError, "Log in first"),
        (httpx.Response(500, content=b"\xff" * 999), sdk.ServerError, "answered 500"),
    ],
)
def test_what_is_no_problem_is_told_all_the_same(
    response: httpx.Response, kind: type[sdk.PortgradError], said: str
) -> None:
    error = raised(response)
    assert type(error) is kind
    assert said in error.detail
    assert len(error.detail) < 400
    assert error.code == kind.default_code


def test_the_tree_is_the_one_drawn() -> None:
    kinds = [getattr(sdk, name) for name in sdk.__all__ if name.endswith("Error")]
    assert all(issubclass(kind, sdk.PortgradError) for kind in kinds)
    for kind in (sdk.BadRequestError, sdk.UnprocessableError):
        assert issubclass(kind, sdk.InvalidRequestError)
    assert issubclass(sdk.InvalidNetError, sdk.UnprocessableError)
    assert issubclass(sdk.TimedOutError, sdk.ConnectionFailedError)


def test_an_empty_name_is_refused_before_it_is_sent() -> None:
    service = Scripted()
    with pytest.raises(sdk.InvalidRequestError) as caught:
        service.client().net("")
    assert caught.value.code == "invalid_name"
    assert service.requests == []
