"""The real application, engine and store, once for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portgrad.api.app import create_app
from portgrad.compute.pool import WorkerCompute
from portgrad.settings import Settings
from portgrad.store import LOCAL, LocalStore, Shelf
from support.computing import computing
from support.http import AppClient, serving

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


@pytest.fixture(scope="module")
def compute() -> WorkerCompute:
    return computing()


@pytest.fixture(scope="module")
def store(folder: Path) -> Shelf:
    """The store as the caller of these tests sees it."""
    return LocalStore(folder).of(LOCAL)


@pytest.fixture(scope="module")
def http(folder: Path, compute: WorkerCompute) -> Iterator[AppClient]:
    settings = Settings(data=folder, max_body_bytes=MIB, max_upload_bytes=MIB)
    with serving(create_app(LocalStore(folder), compute, settings)) as served:
        yield served
