"""The table of scopes is that of the routes, and a route that it lacks is not served."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from portgrad.api.app import create_app
from portgrad.api.auth.scopes import TABLE, Scoped, check_table
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute


def test_the_table_has_every_route_and_no_other(tmp_path: Path) -> None:
    app = create_app(LocalStore(tmp_path), FakeCompute(), Settings())
    served = {
        (method, found.path)
        for found in iter_route_contexts(app.routes)
        for method in found.methods or ()
    }
    documents = {("GET", "/openapi.json"), ("HEAD", "/openapi.json")}
    assert served == TABLE.keys() | documents


@pytest.mark.parametrize(
    ("path", "kind"), [("/new", Scoped), ("/nets", APIRoute)], ids=["not told", "not asked for"]
)
def test_a_route_without_a_scope_is_not_served(path: str, kind: type[APIRoute]) -> None:
    router = APIRouter(route_class=kind)
    router.get(path)(lambda: None)
    with pytest.raises(AssertionError, match=path):
        check_table(router.routes)
