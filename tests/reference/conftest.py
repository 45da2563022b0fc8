"""One service for the reference's examples: the real application, engine and store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad_client import Client
from support.computing import computing
from support.http import serving
from support.sdk import ADDRESS, pool


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    data: Path = tmp_path_factory.mktemp("nets")
    app = create_app(LocalStore(data), computing(), Settings(data=data))
    with serving(app) as served:
        yield Client(ADDRESS, http_client=pool(served))
