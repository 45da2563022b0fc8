"""The middleware where HTTP goes wrong: clients that leave, answers that break off."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from portgrad.api.app import create_app
from portgrad.api.middleware import Traced
from portgrad.api.telling.teller import Teller
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import Boom, FakeCompute

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/nets",
    "raw_path": b"/nets",
    "root_path": "",
    "query_string": b"",
    "scheme": "http",
    "server": ("portgrad.test", 80),
    "http_version": "1.1",
    "headers": [],
}


def exchange(app: Any, scope: dict[str, Any], *incoming: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that the application sends on these that it receives."""
    waiting, sent = list(incoming), []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(dict(scope), receive, send))
    return sent


def test_a_client_that_leaves_during_its_upload(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = LocalStore(tmp_path)
    app = create_app(store, FakeCompute(), Settings())
    with caplog.at_level(logging.INFO, "portgrad.api"):
        sent = exchange(
            app,
            SCOPE,
            {"type": "http.request", "body": b"half", "more_body": True},
            {"type": "http.disconnect"},
        )
    assert sent == []
    assert "left" in caplog.text
    assert store.of("local").page(None, 10) == ([], None)
    assert not list((tmp_path / "staging").iterdir())


def test_an_answer_that_breaks_off_is_left_broken() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Boom

    # A second answer would be read as part of the first: the server must close the connection.
    with pytest.raises(Boom):
        exchange(Traced(app, Teller(Settings())), SCOPE)


def test_other_connections_pass() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})

    sent = exchange(Traced(app, Teller(Settings())), {"type": "lifespan"})
    assert sent == [{"type": "lifespan.startup.complete"}]
