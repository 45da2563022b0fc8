"""What holds on every route: one shape of problems, a request id, Server-Timing."""

from __future__ import annotations

import re
from typing import Any, get_args

import numpy as np
import pytest
from fastapi.routing import APIRoute

from portgrad.api.problems import STATUS
from portgrad.api.routes import calls, docs, files, health, metrics, nets, operators
from portgrad.codecs.model import Kind
from portgrad.errors import (
    Conflict,
    InvalidNet,
    InvalidRequest,
    LimitExceeded,
    NotBuilt,
    NotFound,
    PortgradError,
    RunFailed,
    StoreFailed,
    Unsupported,
    Wait,
)
from portgrad.store import LocalStore
from portgrad.store.shelf import LocalShelf
from support.fake_compute import Boom, FakeCompute, fake_net
from support.formats import FORMATS, request
from support.http import AppClient

KINDS = get_args(Kind)
BODY = {"data": [1], "tangents": {"input": [1]}}
CALLS = [
    (f"/nets/echo/{kind}", BODY if kind in {"jvp", "hvp"} else {"data": [1]}) for kind in KINDS
]
ROUTES = [
    ("POST", "/nets"),
    ("GET", "/nets"),
    ("GET", "/nets/{net}"),
    ("DELETE", "/nets/{net}"),
    ("PUT", "/nets/{net}/shared"),
    ("DELETE", "/nets/{net}/shared"),
    ("GET", "/nets/{net}/model"),
    ("GET", "/nets/{net}/gradient.onnx"),
    *(("POST", f"/nets/{{net}}/{kind}") for kind in KINDS),
    ("GET", "/operators"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("GET", "/docs/{asset}"),
]
ALWAYS = {"type", "title", "status", "code", "detail", "request_id"}
SOMETIMES = {"where", "expected", "found", "remedy"}


def check_problem(answer: Any, status: int) -> None:
    problem = answer.json()
    assert answer.status_code == status == problem["status"], answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.keys() >= ALWAYS
    assert problem.keys() <= ALWAYS | SOMETIMES
    assert all(isinstance(problem[key], str) for key in problem.keys() - {"status"})
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", problem["code"])
    assert problem["type"] == f"urn:portgrad:problem:{problem['code']}"
    check_headers(answer)
    assert problem["request_id"] == answer.headers["x-request-id"]


def check_headers(answer: Any) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    stages = re.findall(r"(\w+);dur=([0-9.]+)", answer.headers["server-timing"])
    named = [name for name, _ in stages]
    assert named == ["decode", "queue", "compile", "run", "encode", "total"]
    assert all(float(milliseconds) >= 0 for _, milliseconds in stages)


def test_the_table_has_every_route() -> None:
    found = {
        (method, route.path)
        for module in (calls, docs, files, health, metrics, nets, operators)
        for route in module.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert found == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_wrong_method(http: AppClient, method: str, path: str) -> None:
    answer = http.request("PATCH", path)
    check_problem(answer, 405)
    assert method in answer.headers["allow"]
    assert method in answer.json()["expected"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_slash_too_many(http: AppClient, method: str, path: str) -> None:
    answer = http.request(method, f"{path.replace('{net}', 'echo')}//")
    check_problem(answer, 404)
    assert answer.json()["code"] == "no_such_route"


SERVED = [
    ("POST", "/nets", {"content": fake_net("x")}),
    ("GET", "/nets", {}),
    ("GET", "/nets/echo", {}),
    ("PUT", "/nets/echo/shared", {}),
    ("DELETE", "/nets/echo/shared", {}),
    ("GET", "/nets/echo/model", {}),
    ("GET", "/nets/echo/gradient.onnx", {}),
    *(("POST", path, {"json": body}) for path, body in CALLS),
    ("DELETE", "/nets/echo", {}),
    ("GET", "/operators", {}),
    ("GET", "/healthz", {}),
    ("GET", "/readyz", {}),
    ("GET", "/metrics", {}),
    ("GET", "/docs", {}),
    ("GET", "/docs/swagger-ui.css", {}),
    ("GET", "/openapi.json", {}),
]


@pytest.mark.parametrize(("method", "path", "options"), SERVED)
def test_headers_of_good_answers(
    http: AppClient, net: str, method: str, path: str, options: dict[str, Any]
) -> None:
    answer = http.request(method, path, **options)
    assert answer.is_success, answer.text
    check_headers(answer)


FAILING = [
    ("begin", "POST", "/nets", {"content": b"{}"}),
    ("page", "GET", "/nets", {}),
    ("get", "GET", "/nets/echo", {}),
    ("unbind", "DELETE", "/nets/echo", {}),
    ("share", "PUT", "/nets/echo/shared", {}),
    ("share", "DELETE", "/nets/echo/shared", {}),
    ("find", "GET", "/nets/echo/model", {}),
    ("verify", "GET", "/nets/echo/model", {}),
    ("scratch", "GET", "/nets/echo/gradient.onnx", {}),
    *(("find", "POST", path, {"json": body}) for path, body in CALLS),
    ("ready", "GET", "/readyz", {}),
    ("figures", "GET", "/metrics", {}),
]


@pytest.mark.parametrize(("call", "method", "path", "options"), FAILING)
def test_what_nobody_foresaw(
    *,
    http: AppClient,
    net: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
    method: str,
    path: str,
    options: dict[str, Any],
) -> None:
    def fail(*_: Any) -> None:
        raise Boom("/srv/secret/path")

    owner = LocalShelf if hasattr(LocalShelf, call) else LocalStore
    monkeypatch.setattr(owner, call, fail)
    answer = http.request(method, path, **options)
    check_problem(answer, 500)
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.text
    assert "/srv/secret/path" in caplog.text
    assert answer.json()["request_id"] in caplog.text


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("call", KINDS)
def test_errors_of_compute_are_problems_in_every_format(
    http: AppClient, net: str, compute: FakeCompute, call: str, fmt: str
) -> None:
    compute.error = InvalidRequest(
        "The port got rank 1.",
        code="wrong_rank",
        where="input",
        expected="rank 2",
        found="rank 1",
        remedy="Send rank 2.",
    )
    one = np.ones(1, np.float32)
    tangents = {"tangent/input": one} if call in {"jvp", "hvp"} else {}
    sent = request(fmt, {"input": one, **tangents})
    answer = http.post(f"/nets/echo/{call}", **sent)
    check_problem(answer, 422)
    assert answer.json() == {
        "type": "urn:portgrad:problem:wrong_rank",
        "title": "The request does not fit",
        "status": 422,
        "code": "wrong_rank",
        "detail": "The port got rank 1.",
        "where": "input",
        "expected": "rank 2",
        "found": "rank 1",
        "remedy": "Send rank 2.",
        "request_id": answer.headers["x-request-id"],
    }
    compute.error = Boom("internals")
    check_problem(http.post(f"/nets/echo/{call}", **sent), 500)


STATUSES = [
    (InvalidNet, 422),
    (InvalidRequest, 422),
    (NotBuilt, 422),
    (Unsupported, 422),
    (NotFound, 404),
    (Conflict, 409),
    (LimitExceeded, 413),
    (RunFailed, 422),
    (StoreFailed, 503),
    (PortgradError, 500),
]


@pytest.mark.parametrize(("error", "status"), STATUSES)
def test_each_error_has_its_status(
    http: AppClient, net: str, compute: FakeCompute, error: type[PortgradError], status: int
) -> None:
    compute.error = error("It broke.")
    answer = http.post("/nets/echo/gradient", json={"data": [1]})
    check_problem(answer, status)
    assert answer.json()["code"] == error.default_code


def test_every_class_of_error_is_in_the_table() -> None:
    classes = [PortgradError, *PortgradError.__subclasses__(), *InvalidRequest.__subclasses__()]
    # Nobody raises Wait itself.
    classes = [error for error in classes if error is not Wait] + Wait.__subclasses__()
    ours = [error for error in classes if error.__module__.startswith("portgrad.")]
    assert [error for error in ours if error not in STATUS] == []


@pytest.mark.parametrize("sent", ["abc", "A-1.b:2/3+4=_", "x" * 128])
def test_a_sane_request_id_is_kept(http: AppClient, sent: str) -> None:
    answer = http.get("/nets/nobody", headers={"X-Request-Id": sent})
    assert answer.headers["x-request-id"] == sent == answer.json()["request_id"]


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "<script>", "é"])
def test_another_request_id_is_replaced(http: AppClient, sent: str) -> None:
    answer = http.get("/healthz", headers={"X-Request-Id": sent.encode()})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_the_times_of_compute_are_told(http: AppClient, net: str) -> None:
    answer = http.post("/nets/echo/gradient", json={"data": [1]})
    assert "queue;dur=1.000, compile;dur=0.000, run;dur=2.000" in answer.headers["server-timing"]


def test_probes(http: AppClient) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    ready = {"status": "ready", "store": "ok", "workers": "ok", "draining": False}
    assert http.get("/readyz").json() == ready
