"""Every route by everybody: exactly which status and code each one gets.

A route has one row: the scope that it wants and what it answers to who has it. Who asks has one
column: the scopes that are proved, or what is told wherever a scope is wanted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, get_args

import pytest

from portgrad.api.auth.scopes import TABLE
from portgrad.codecs.model import Kind
from portgrad.store.keys import Keys
from support.fake_compute import FakeCompute, fake_net
from support.http import AppClient
from support.issuer import Issuer, SigningKey

SCOPES = ("read", "compute", "write", "admin")
CALL = {"json": {"data": [1], "tangents": {"input": [1]}}}
KINDS = get_args(Kind)
# Route: the scope it wants, what is sent, and what it answers to who has that scope.
ROUTES: dict[tuple[str, str], tuple[str | None, dict[str, Any], int]] = {
    ("GET", "/nets"): ("read", {}, 200),
    ("GET", "/nets/{net}"): ("read", {}, 200),
    ("GET", "/nets/{net}/model"): ("read", {}, 200),
    ("GET", "/nets/{net}/gradient.onnx"): ("read", {}, 200),
    **{
        ("POST", f"/nets/{{net}}/{kind}"): (
            "compute",
            CALL if kind in {"jvp", "hvp"} else {"json": {"data": [1]}},
            200,
        )
        for kind in KINDS
    },
    ("POST", "/nets"): ("write", {"content": fake_net("x")}, 201),
    ("DELETE", "/nets/{net}"): ("write", {}, 204),
    ("PUT", "/nets/{net}/shared"): ("write", {}, 204),
    ("DELETE", "/nets/{net}/shared"): ("write", {}, 204),
    ("GET", "/metrics"): ("admin", {}, 200),
    ("GET", "/quarantine"): ("admin", {}, 200),
    ("DELETE", "/quarantine/{net_id}"): ("admin", {}, 204),
    ("GET", "/operators"): (None, {}, 200),
    ("GET", "/healthz"): (None, {}, 200),
    ("GET", "/readyz"): (None, {}, 200),
    ("GET", "/docs"): (None, {}, 200),
    ("GET", "/docs/{asset}"): (None, {}, 200),
    ("GET", "/openapi.json"): (None, {}, 200),
}
UNKNOWN = [("GET", "/nothing"), ("PATCH", "/nets"), ("GET", "/nets/echo//"), ("POST", "/keys")]

Maker = Callable[[Issuer, Keys], dict[str, str]]


def ann(issuer: Issuer) -> str:
    """Whose nets they are: the owner that the issuer's tokens name."""
    return f"{issuer.url}#ann"


def key_with(*scopes: str, **more: Any) -> Maker:
    return lambda issuer, keys: header(keys.create(ann(issuer), scopes, **more)[1])


def token_with(how: str = "token", **claims: Any) -> Maker:
    return lambda issuer, _: header(getattr(issuer, how)(**claims))


def header(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def revoked(issuer: Issuer, keys: Keys) -> dict[str, str]:
    key, text = keys.create(ann(issuer), SCOPES)
    keys.revoke(key.id)
    return header(text)


def wrong_secret(issuer: Issuer, keys: Keys) -> dict[str, str]:
    key, _text = keys.create(ann(issuer), SCOPES)
    return header(f"pg_{key.id}_{'0' * 64}")


def of_another_key(issuer: Issuer, _: Keys) -> dict[str, str]:
    """The issuer's kid, another's signature."""
    return header(issuer.token(key=SigningKey("ES256", "first"), scope=EVERY))


def unknown_kid(issuer: Issuer, _: Keys) -> dict[str, str]:
    return header(issuer.token(key=SigningKey("ES256", "nobody's"), scope=EVERY))


HOUR = 3600
EVERY = " ".join(SCOPES)
# Who asks: their scopes and what proves them, or else the status and code that they get.
WHO: dict[str, tuple[Maker, tuple[str, ...] | tuple[int, str]]] = {
    **{f"a key with {scope}": (key_with(scope), (scope,)) for scope in SCOPES},
    **{f"a token with {scope}": (token_with(scope=scope), (scope,)) for scope in SCOPES},
    "a key with all": (key_with(*SCOPES), SCOPES),
    "a key with none": (key_with(), ()),
    "a token with all": (token_with(scope=EVERY), SCOPES),
    "a token with the service's prefix": (token_with(scope="portgrad:read portgrad:x"), ("read",)),
    "a token with a list": (token_with(scope=["openid", "write"]), ("write",)),
    "a token without scopes": (token_with(scope=None), ()),
    "a token for several audiences": (token_with(aud=["x", "portgrad"], scope=EVERY), SCOPES),
    "nobody": (lambda *_: {}, (401, "not_authenticated")),
    "another scheme": (lambda *_: {"Authorization": "Basic YTpi"}, (401, "not_authenticated")),
    "an empty token": (lambda *_: {"Authorization": "Bearer "}, (401, "not_authenticated")),
    "a revoked key": (revoked, (401, "key_revoked")),
    "an expired key": (key_with(*SCOPES, expires=time.time() - 1), (401, "key_expired")),
    "a wrong secret": (wrong_secret, (401, "invalid_key")),
    "an unknown key": (lambda *_: header(f"pg_{'0' * 16}_{'0' * 64}"), (401, "invalid_key")),
    "half a key": (lambda *_: header("pg_12"), (401, "invalid_key")),
    "no token at all": (lambda *_: header("abc"), (401, "invalid_token")),
    "an expired token": (
        token_with(exp=time.time() - HOUR, scope=EVERY),
        (401, "token_expired"),
    ),
    "a token of later": (token_with(nbf=time.time() + HOUR, scope=EVERY), (401, "invalid_token")),
    "a token without an end": (token_with(exp=None, scope=EVERY), (401, "invalid_token")),
    "a token without an owner": (token_with(sub=None, scope=EVERY), (401, "invalid_token")),
    "a wrong issuer": (token_with(iss="https://evil.example", scope=EVERY), (401, "invalid_token")),
    "a wrong audience": (token_with(aud="others", scope=EVERY), (401, "invalid_token")),
    "no audience": (token_with(aud=None, scope=EVERY), (401, "invalid_token")),
    "alg none": (token_with("unsigned", scope=EVERY), (401, "invalid_token")),
    "HS256 with the public key": (
        token_with("signed_with_what_is_public", scope=EVERY),
        (401, "invalid_token"),
    ),
    "a tampered payload": (token_with("tampered", scope=EVERY), (401, "invalid_token")),
    "another's signature": (of_another_key, (401, "invalid_token")),
    "an unknown kid": (unknown_kid, (401, "invalid_token")),
}
Verdict = tuple[int, str | None]


@pytest.fixture(scope="module")
def operator(guarded: AppClient, issuer: Issuer, keys: Keys) -> Callable[..., Any]:
    """Requests of who may do everything."""
    found = header(keys.create(ann(issuer), SCOPES)[1])
    return lambda method, path, **more: guarded.request(method, path, headers=found, **more)


@pytest.fixture(scope="module")
def credentials(issuer: Issuer, keys: Keys) -> dict[str, dict[str, str]]:
    return {who: maker(issuer, keys) for who, (maker, _) in WHO.items()}


def expected(who: str, wanted: str | None, good: int) -> Verdict:
    told = WHO[who][1]
    if wanted is None:
        return good, None
    if told and isinstance(told[0], int):
        return told  # type: ignore[return-value]
    return (good, None) if wanted in told else (403, "missing_scope")


def verdict(answer: Any) -> Verdict:
    problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if problem else None


def test_the_rows_are_the_table_of_scopes() -> None:
    documents = {("GET", "/openapi.json"): None}
    told = {route: scope for route, (scope, _, _) in ROUTES.items()}
    assert told == {**TABLE, **documents}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_every_route_by_everybody(
    *,
    guarded: AppClient,
    operator: Callable[..., Any],
    compute: FakeCompute,
    credentials: dict[str, dict[str, str]],
    route: tuple[str, str],
    who: str,
) -> None:
    method, path = route
    wanted, sent, good = ROUTES[route]
    if "{net}" in path:
        assert operator("POST", "/nets?name=echo", content=fake_net()).is_success
    compute.in_quarantine.add("echo")
    filled = path.replace("{net}", "echo").replace("{net_id}", "echo")
    filled = filled.replace("{asset}", "swagger-ui.css")
    answer = guarded.request(method, filled, headers=credentials[who], **sent)
    if route == ("POST", "/nets") and answer.is_success:
        assert operator("DELETE", f"/nets/{answer.json()['id']}").is_success
    assert verdict(answer) == expected(who, wanted, good)
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("route", UNKNOWN, ids=" ".join)
def test_what_is_not_there_tells_nothing_to_strangers(
    guarded: AppClient, credentials: dict[str, dict[str, str]], route: tuple[str, str], who: str
) -> None:
    found = verdict(guarded.request(*route, headers=credentials[who]))
    there = (405, "method_not_allowed") if route[0] == "PATCH" else (404, "no_such_route")
    assert found == (expected(who, "any", 0) if WHO[who][1][:1] == (401,) else there)


@pytest.mark.parametrize("net", ["echo", "nobodys", "0" * 64])
@pytest.mark.parametrize("route", [r for r in ROUTES if "{net}" in r[1]], ids=" ".join)
def test_a_scope_is_asked_for_before_existence(
    guarded: AppClient, credentials: dict[str, dict[str, str]], route: tuple[str, str], net: str
) -> None:
    """Who lacks the scope learns nothing of which nets there are, nor of what their body has."""
    method, path = route
    other = "a key with admin"
    path = path.replace("{net}", net)
    broken = {"content": b"{", "headers": credentials[other] | {"Content-Type": "a/b"}}
    assert verdict(guarded.request(method, path, **broken)) == (403, "missing_scope")
