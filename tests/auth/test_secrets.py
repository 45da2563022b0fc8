"""A real service, asked with secrets in every place, logs none of them; and what it does write."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from portgrad.api.auth.credentials import redacted
from portgrad.samples import linear
from portgrad.store.keys import Keys
from support.balanced import replicas
from support.issuer import AUDIENCE, issuing

NAME = "replica-1"
TOKEN = "eyJhbGciOiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
KEY = f"pg_{'0' * 16}_{'f' * 64}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Bearer {TOKEN}", "Bearer [hidden]"),
        (f"a=1&b={TOKEN}&c=2", "a=1&b=[hidden]&c=2"),
        (f"Bearer%20{TOKEN}%20", "Bearer%[hidden]%20"),
        (f"x_{TOKEN}", "[hidden]"),
        (f"{KEY} {TOKEN}\n{KEY}", "[hidden] [hidden]\n[hidden]"),
        (f"name{KEY}", "name[hidden]"),
        ("eyJhbGciOiJ9.short.c2ln", "eyJhbGciOiJ9.short.c2ln"),
        ("model.v1.onnx pg_0123", "model.v1.onnx pg_0123"),
    ],
)
def test_what_is_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text", ["eyJ" * 20_000, "eyJ" * 10_000 + "." + "A" * 30_000, "pg_" * 20_000]
)
def test_beginnings_of_secrets_cost_no_time(text: str) -> None:
    start = time.perf_counter()
    assert redacted(text) == text
    assert time.perf_counter() - start < 0.5


def test_no_secret_is_logged_and_what_happened_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(tmp_path / "data")
    key, text = keys.create("ann", ["read", "write"])
    secret = text.rpartition("_")[2]
    wrong = text[:-4] + "beef"
    with issuing() as issuer:
        good, tampered = issuer.token(), issuer.tampered(sub="other")
        for name, value in {
            "AUTH": "required",
            "JWT_ISSUER": issuer.url,
            "JWT_AUDIENCE": AUDIENCE,
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": "json",
        }.items():
            monkeypatch.setenv(f"PORTGRAD_{name}", value)
        with replicas(tmp_path, [NAME]) as running:
            base = f"http://127.0.0.1:{running[NAME].port}"
            told = [
                ask(base, "/nets", text, method="POST", params={"name": "mine"}),
                ask(base, "/nets", good),
                ask(base, "/nets", wrong),
                ask(base, "/nets", tampered),
                ask(base, "/nets", None, params={"api_key": text}),
                ask(base, "/nets", text, params={"options": text}),
                ask(base, "/healthz", None, params={"access_token": good}),
                ask(base, f"/nets/{text}", text),
                ask(base, "/nets/mine", text, request_id=text),
                ask(base, "/nets/mine/gradient", text, method="POST"),
                ask(base, "/nets/mine", text, method="DELETE"),
            ]
            running[NAME].end(signal.SIGTERM)
    expected = [201, 200, 401, 401, 401, 401, 401, 401, 200, 403, 204]
    assert [answer.status_code for answer in told] == expected
    codes = [answer.json()["code"] for answer in told if answer.status_code >= 400]
    assert codes == [
        "invalid_key", "invalid_token", *["credential_in_url"] * 4, "missing_scope"
    ]  # fmt: skip
    log = (tmp_path / f"{NAME}.log").read_text()
    for hidden in (
        secret,
        wrong.rpartition("_")[2],
        *good.split(".")[1:],
        *tampered.split(".")[1:],
    ):
        assert hidden not in log
        assert not any(hidden in one.text for one in told)
    assert "[hidden]" in log  # the request's id
    check_audit(log, key.id)


def ask(
    base: str,
    path: str,
    credential: str | None,
    *,
    method: str = "GET",
    params: dict[str, str] | None = None,
    request_id: str = "r1",
) -> httpx.Response:
    headers = {"X-Request-Id": request_id}
    if credential is not None:
        headers["Authorization"] = f"Bearer {credential}"
    content = linear(outputs=1, inputs=2) if method == "POST" else None
    return httpx.request(method, base + path, params=params, headers=headers, content=content)


def check_audit(log: str, key: str) -> None:
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    audit: list[dict[str, Any]] = [one for one in lines if one["logger"] == "portgrad.audit"]
    events = [(one["event"], one.get("code"), one.get("owner"), one.get("key")) for one in audit]
    assert events == [
        ("net_uploaded", None, "ann", key),
        ("name_given", None, "ann", key),
        ("denied", "invalid_key", None, None),
        ("denied", "invalid_token", None, None),
        *[("denied", "credential_in_url", None, None)] * 4,
        ("denied", "missing_scope", "ann", key),
        ("name_removed", None, "ann", key),
    ]
    assert len(audit[0]["net"]) == 64
    assert audit[1]["net_name"] == audit[-1]["net_name"] == "mine"
    assert {one["client"] for one in audit} == {"127.0.0.1"}
    assert {one["request_id"] for one in audit} == {"r1"}
