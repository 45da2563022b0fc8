"""A service that asks who its callers are, with an issuer of tokens and a folder of keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portgrad.api.app import create_app
from portgrad.api.auth import refusals
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad.store.keys import Keys
from support.fake_compute import FakeCompute
from support.http import AppClient, serving
from support.issuer import AUDIENCE, Issuer, issuing


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def keys(folder: Path) -> Keys:
    return Keys(folder)


@pytest.fixture(scope="module")
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture(scope="module")
def guarded(folder: Path, issuer: Issuer, compute: FakeCompute) -> Iterator[AppClient]:
    """It takes any number of failures from one address, as tests have one alone."""
    settings = Settings(data=folder, auth="required", jwt_issuer=issuer.url, jwt_audience=AUDIENCE)
    app = create_app(LocalStore(folder), compute, settings)
    with pytest.MonkeyPatch.context() as patch, serving(app) as client:
        patch.setattr(refusals, "PER_MINUTE", 1_000_000)
        yield client
