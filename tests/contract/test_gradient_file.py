"""GET /nets/{net}/gradient.onnx: what of its query reaches compute, and where the files go."""

from __future__ import annotations

import errno
from typing import Any
from urllib.parse import urlencode

import pytest

from portgrad.errors import Unsupported
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute
from support.http import AppClient

QUERIES: list[tuple[list[tuple[str, str]], dict[str, Any]]] = [
    ([], {}),
    ([("wrt", "all"), ("outputs", "true")], {"wrt": "all", "outputs": True}),
    ([("wrt", "a"), ("wrt", '["b", "weight"]')], {"wrt": ["a", ["b", "weight"]]}),
    ([("wrt", '["b", "weight"]')], {"wrt": [["b", "weight"]]}),
    ([("of", "y"), ("outputs", "y"), ("outputs", "h")], {"of": "y", "outputs": ["y", "h"]}),
    ([("outputs", "y"), ("seeds", "true")], {"outputs": ["y"], "seeds": True}),
    ([("outputs", "false"), ("quantized", "exact")], {"outputs": False, "quantized": "exact"}),
]


def _get(http: AppClient, *query: tuple[str, str]) -> Any:
    return http.get(f"/nets/echo/gradient.onnx?{urlencode(query)}")


@pytest.mark.parametrize(("query", "options"), QUERIES)
def test_what_is_asked(
    http: AppClient,
    net: str,
    compute: FakeCompute,
    query: list[tuple[str, str]],
    options: dict[str, Any],
) -> None:
    answer = _get(http, *query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content == b"graph"
    [job] = compute.exports
    assert job.net_id == net
    assert (job.options, job.external) == ({"seeds": False} | options, None)


def test_weights_in_a_file_of_their_own(
    http: AppClient, net: str, compute: FakeCompute, store: LocalStore
) -> None:
    external = ("external", "größe 1.data")
    assert _get(http, external).content == b"graph"
    assert _get(http, external, ("location", "größe 1.data")).content == b"weights"
    assert [job.external for job in compute.exports] == ["größe 1.data"] * 2
    missing = _get(http, external, ("location", "other"))
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_file")
    assert "größe 1.data" in missing.json()["expected"]
    staging = store.of("local").get(net).files.model.parents[2] / "staging"
    assert list(staging.iterdir()) == []  # nothing is left behind


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ([("location", "weights")], "external"),
        ([("external", "")], "external"),
        ([("external", "..")], "external"),
        ([("external", "up/weights")], "external"),
        ([("external", "up\\weights")], "external"),
        ([("external", "gradient.onnx")], "external"),
        ([("external", "n\0")], "external"),
        ([("external", "w" * 256)], "external"),
        ([("wrt", "[1")], "wrt[0]"),
        ([("seeds", "true"), ("seeds", "false")], "seeds"),
        ([("seeds", "perhaps")], "seeds"),
        ([("colour", "red")], "colour"),
    ],
)
def test_queries_that_do_not_fit(
    http: AppClient, net: str, compute: FakeCompute, query: list[tuple[str, str]], where: str
) -> None:
    answer = _get(http, *query)
    assert answer.status_code == 422, answer.text
    assert answer.json()["where"] == where
    assert compute.exports == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unsupported("No.", code="not_standard"), 422, "not_standard"),
        (OSError(errno.ENOSPC, "full"), 503, "store_full"),
        (OSError(errno.EIO, "broken"), 503, "store_unavailable"),
    ],
)
def test_what_fails_leaves_nothing_behind(
    *,
    http: AppClient,
    net: str,
    compute: FakeCompute,
    store: LocalStore,
    error: Exception,
    status: int,
    code: str,
) -> None:
    compute.error = error
    answer = _get(http)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    staging = store.of("local").get(net).files.model.parents[2] / "staging"
    assert list(staging.iterdir()) == []


def test_no_such_net(http: AppClient) -> None:
    answer = http.get("/nets/nobody/gradient.onnx")
    assert (answer.status_code, answer.json()["code"]) == (404, "net_not_found")
