"""Nets that are declared batchable: checked at the upload, told, taken back, and run so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from portgrad.api.app import create_app
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support import hard_nets
from support.computing import computing
from support.engine import net_bytes, random
from support.formats import FORMATS, JSON, NPZ, SAFETENSORS, answer, request
from support.http import AppClient, serving
from support.pool_rig import until

WEIGHTS = {"w": random(3, 2)}
NET = net_bytes("(float[n,3] x) => (float[n,2] y) { h = MatMul(x, w) y = Tanh(h) }", WEIGHTS)
FIXED = net_bytes("(float[1,3] x) => (float[1,2] y) { h = MatMul(x, w) y = Tanh(h) }", WEIGHTS)
MEETING = net_bytes("(float[n,3] x) => (float[n,3] y) { y = Softmax<axis=0>(x) }")
ENDLESS = hard_nets.ENDLESS.partition("endless")[2]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppClient]:
    store = LocalStore(tmp_path_factory.mktemp("data"))
    with serving(create_app(store, computing(), Settings())) as http:
        yield http


@pytest.fixture
def http(kept: AppClient) -> Iterator[AppClient]:
    """Without any net."""
    kept.app.state.service.compute._batches.sizes.clear()
    yield kept
    for net in kept.get("/nets").json()["nets"]:
        kept.delete(f"/nets/{net['id']}")


def upload(http: AppClient, model: bytes, query: str, *, form: bool = False) -> httpx.Response:
    sent: dict[str, Any] = {"files": {"model": model}} if form else {"content": model}
    return http.post(f"/nets?{query}", **sent)


@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize("model", [NET, FIXED])
def test_declared_at_the_upload(http: AppClient, model: bytes, form: bool) -> None:
    found = upload(http, model, "name=net&batchable=true", form=form)
    assert found.status_code == 201, found.text
    assert found.json()["batchable"] is True
    assert http.get("/nets/net").json() == found.json()
    assert http.get("/nets").json()["nets"][0]["batchable"] is True


@pytest.mark.parametrize("form", [False, True])
def test_refused_with_the_node_and_not_kept(http: AppClient, form: bool) -> None:
    found = upload(http, MEETING, "name=net&batchable=true", form=form)
    assert found.status_code == 422
    problem = found.json()
    assert (problem["code"], problem["where"]) == ("not_batchable", "y")
    assert "Softmax" in problem["detail"]
    assert http.get("/nets").json()["nets"] == []
    assert upload(http, MEETING, "name=net").json()["batchable"] is False
    # Nor is one that is here declared.
    assert upload(http, MEETING, "batchable=true").json()["code"] == "not_batchable"
    assert http.get("/nets/net").json()["batchable"] is False


def test_declared_later_and_taken_back(http: AppClient) -> None:
    told = []
    for query in ("name=net", "batchable=true", "name=net", "batchable=false", "name=net"):
        found = upload(http, NET, query)
        assert found.status_code == (200 if told else 201)
        told.append(found.json()["batchable"])
    assert told == [False, True, True, False, False]
    assert upload(http, NET, "batchable=maybe").json()["code"] == "invalid_field"


def test_a_removed_net_comes_back_undeclared(http: AppClient) -> None:
    net_id = upload(http, NET, "batchable=true").json()["id"]
    http.delete(f"/nets/{net_id}")
    assert upload(http, NET, "name=net").json()["batchable"] is False


WIDE = net_bytes("(float[n,20000] x) => (float[n,20000] y) { y = Mul(x, x) }")


def test_arrays_in_safetensors_may_be_larger(http: AppClient) -> None:
    upload(http, WIDE, "name=wide&batchable=true")
    for fmt in (SAFETENSORS, JSON):
        sent = request(fmt, {"x": random(1, 20000)})
        assert http.post("/nets/wide/evaluate", **sent).status_code == 200
    assert http.app.state.service.compute._batches.sizes == {1: 1}


@pytest.mark.parametrize("kind", ["gradient", "evaluate"])
def test_calls_that_wait_together_are_answered_each(http: AppClient, kind: str) -> None:
    """In every format, of one example and of several; what unfolds is read where it is run."""
    upload(http, NET, "name=net&batchable=true")
    upload(http, net_bytes(ENDLESS), "name=endless")
    service = http.app.state.service
    data = [random(1 + index % 2, 3, seed=index) for index in range(2 * len(FORMATS))]
    asked = [
        request(FORMATS[index % len(FORMATS)], {"x": array}, encoding="base64")
        for index, array in enumerate(data)
    ]
    alone = [http.post(f"/nets/net/{kind}", **one) for one in asked]

    async def run() -> list[httpx.Response]:
        gate = asyncio.create_task(http._http.post("/nets/endless/evaluate", json={"data": [1, 2]}))
        await until(lambda: service.compute.stats().workers[0].state == "busy")
        calls = [asyncio.create_task(http._http.post(f"/nets/net/{kind}", **one)) for one in asked]
        await until(lambda: service.compute.stats().queued == len(asked))
        gate.cancel()
        found = await asyncio.gather(*calls)
        shared = sum(one["headers"]["Content-Type"] != NPZ for one in asked)
        assert service.compute.stats().batched == {1: shared, shared: 1}
        return found

    together = http.run(run())
    for one, other in zip(together, alone, strict=True):
        assert one.status_code == 200, one.text
        read = [answer(each.headers["content-type"], each.content) for each in (one, other)]
        (found, about), (expected, about_alone) = read
        assert (found.keys(), about) == (expected.keys(), about_alone)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6)
