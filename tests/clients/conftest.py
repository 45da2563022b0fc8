"""Pauses between retries are told, not waited for; and the application with a real net."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad_client import Client, Net, transport
from support.computing import computing
from support.http import AppClient, serving
from support.sdk import ADDRESS, layers, pool


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a retry would have waited."""
    told: list[float] = []
    monkeypatch.setattr(transport, "sleep", told.append)
    return told


@pytest.fixture
def app(tmp_path: Path) -> Iterator[AppClient]:
    settings = Settings(max_upload_bytes=1_000_000)
    with serving(create_app(LocalStore(tmp_path / "data"), computing(), settings)) as app:
        yield app


@pytest.fixture
def client(app: AppClient) -> Client:
    return Client(ADDRESS, http_client=pool(app))


@pytest.fixture
def net(client: Client) -> Net:
    """Input → layer1 → relu → layer2 → Output."""
    return client.upload(layers(), name="layers")
