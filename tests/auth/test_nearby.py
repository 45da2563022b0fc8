"""Where nobody has to prove who they are: who is served, who is not, and what will not start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from portgrad.api.app import create_app
from portgrad.api.auth.contradictions import refuse_contradictions
from portgrad.api.auth.guard import trusted
from portgrad.api.auth.nearby import refuse_to_listen
from portgrad.errors import PortgradError
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute

HERE = ("127.0.0.1", 5)
# The peer, headers, settings; and whether it is served.
REQUESTS: list[tuple[tuple[str, int] | None, dict[str, str], dict[str, Any], bool]] = [
    (HERE, {"Host": "127.0.0.1:8000"}, {}, True),
    (("127.8.9.1", 5), {"Host": "localhost:8000"}, {}, True),
    (("::1", 5), {"Host": "[::1]:8000"}, {}, True),
    (("::ffff:127.0.0.1", 5), {"Host": "api.localhost"}, {}, True),
    (None, {"Host": "localhost"}, {}, True),  # a socket of this machine
    (HERE, {"Host": "10.1.2.3"}, {}, True),  # an address is nobody's name
    (HERE, {"Host": "LOCALHOST:1"}, {}, True),
    (HERE, {"Host": "box.lan:80"}, {"host": "box.lan"}, True),
    (HERE, {"Host": "localhost:80", "Origin": "http://localhost:80"}, {}, True),
    (("192.0.2.7", 5), {"Host": "127.0.0.1:8000"}, {}, False),
    (("::ffff:192.0.2.7", 5), {"Host": "127.0.0.1:8000"}, {}, False),
    (("2001:db8::1", 5), {"Host": "[::1]"}, {}, False),
    (("", 0), {"Host": "localhost"}, {}, False),
    (HERE, {"Host": "evil.example"}, {}, False),  # a name that was made to point here
    (HERE, {"Host": "localhost.evil.example"}, {}, False),
    (HERE, {"Host": "127.0.0.1.evil.example"}, {}, False),
    (HERE, {"Host": "localhost@evil.example"}, {}, False),
    (HERE, {"Host": ""}, {}, False),
    (HERE, {"Host": "[::1"}, {}, False),
    (HERE, {"Host": "localhost", "Origin": "https://evil.example"}, {}, False),
    (HERE, {"Host": "localhost", "Origin": "null"}, {}, False),
    (HERE, {"Host": "localhost:80", "Origin": "http://localhost:81"}, {}, False),
    # Whoever says that it is open, or asks who it is, does not ask for the place.
    (("192.0.2.7", 5), {"Host": "evil.example", "Origin": "null"}, {"open": True}, True),
    (("192.0.2.7", 5), {"Host": "nets.example"}, {"auth": "required"}, True),
]


def ask(app: Any, peer: tuple[str, int] | None, headers: dict[str, str]) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=peer)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.get("/operators", headers=headers)

    return asyncio.run(send())


@pytest.mark.parametrize(("peer", "headers", "settings", "served"), REQUESTS)
def test_who_is_served(
    tmp_path: Path,
    peer: tuple[str, int] | None,
    headers: dict[str, str],
    settings: dict[str, Any],
    served: bool,
) -> None:
    app = create_app(LocalStore(tmp_path), FakeCompute(), Settings(data=tmp_path, **settings))
    answer = ask(app, peer, headers)
    told = (200, None) if served else (403, "not_open")
    assert (answer.status_code, answer.json().get("code")) == told
    if not served:
        ways = ("PORTGRAD_HOST=127.0.0.1", "PORTGRAD_AUTH=required", "PORTGRAD_OPEN=true")
        assert all(way in answer.json()["remedy"] for way in ways)


def test_this_process_is_let_in_everywhere(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, auth="required")
    app = create_app(LocalStore(tmp_path), FakeCompute(), settings)

    async def nets(inner: Any) -> int:
        transport = httpx.ASGITransport(inner)
        async with httpx.AsyncClient(transport=transport, base_url="http://portgrad") as http:
            return (await http.get("/nets")).status_code

    assert asyncio.run(nets(trusted(app))) == 200
    assert asyncio.run(nets(app)) == 401


@pytest.mark.parametrize(
    ("settings", "starts"),
    [
        ({}, True),
        ({"host": "localhost"}, True),
        ({"host": "::1"}, True),
        ({"host": "127.3.2.1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "::"}, False),
        ({"host": ""}, False),
        ({"host": "10.0.0.1"}, False),
        ({"host": "box.lan"}, False),
        ({"host": "0.0.0.0", "open": True}, True),
        ({"host": "0.0.0.0", "auth": "required"}, True),
    ],
)
def test_where_it_listens(settings: dict[str, Any], starts: bool) -> None:
    if starts:
        refuse_to_listen(Settings(**settings))
        return
    with pytest.raises(PortgradError) as caught:
        refuse_to_listen(Settings(**settings))
    assert caught.value.code == "open_to_everybody"
    for way in ("PORTGRAD_HOST=127.0.0.1", "PORTGRAD_AUTH=required", "PORTGRAD_OPEN=true"):
        assert way in str(caught.value)


ISSUER = {"auth": "required", "jwt_issuer": "https://id.example", "jwt_audience": "portgrad"}
NEAR = {**ISSUER, "jwt_issuer": "http://127.0.0.1:9"}
FAR = {**ISSUER, "jwt_issuer": "http://id.example"}
SAFE = {"jwt_jwks_url": "https://id.example/keys"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, None),
        ({"auth": "required"}, None),
        (ISSUER, None),
        (NEAR, None),
        (FAR | SAFE, None),
        ({"auth": "required", "jwt_audience": "x"}, "nothing without an issuer"),
        (SAFE, "nothing without an issuer"),
        ({**ISSUER, "jwt_audience": None}, "meant for others"),
        ({**ISSUER, "auth": "none"}, "nobody has to prove"),
        (FAR, "change them on the way"),
        ({**ISSUER, "jwt_jwks_url": "http://id.example/keys"}, "change them on the way"),
        ({**ISSUER, "jwt_jwks_url": "ftp://id.example/keys"}, "change them on the way"),
        ({**ISSUER, "jwt_issuer": "id.example"}, "change them on the way"),
        ({**ISSUER, "jwt_issuer": "https://"}, "change them on the way"),
    ],
)
def test_settings_that_contradict_one_another(
    tmp_path: Path, settings: dict[str, Any], said: str | None
) -> None:
    if said is None:
        refuse_contradictions(Settings(**settings))
        return
    with pytest.raises(PortgradError, match=said) as caught:
        create_app(LocalStore(tmp_path), FakeCompute(), Settings(**settings))
    assert caught.value.code == "invalid_settings"
    assert "PORTGRAD_" in str(caught.value)
