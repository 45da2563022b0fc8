"""One application over an echoing compute for each test, and a net to call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.http import AppClient, serving
from support.ways import way

__all__ = ["way"]

MAX_BODY = 1_000_000
MAX_UPLOAD = 5_000_000


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "data")


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def http(store: LocalStore, compute: FakeCompute) -> Iterator[AppClient]:
    settings = Settings(max_body_bytes=MAX_BODY, max_upload_bytes=MAX_UPLOAD)
    with serving(create_app(store, compute, settings)) as client:
        yield client


@pytest.fixture
def net(http: AppClient) -> str:
    """The id of a net with the port `input`, which is also called `echo`."""
    answer = http.post("/nets?name=echo", content=fake_net())
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found
