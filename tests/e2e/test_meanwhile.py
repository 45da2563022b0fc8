"""What others do to a net while it is in use: it answers rightly or says what happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from portgrad.compute.pool import WorkerCompute
from portgrad.store import Shelf
from portgrad.store.shelf import LocalShelf
from support.http import AppClient


def times(factor: int) -> bytes:
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
    times (float[2] x) => (float[2] y) <float w = {{{factor}}}> {{ y = Mul(x, w) }}"""
    return onnx.parser.parse_model(text).SerializeToString()


def body(before_the_end: Callable[[], Any]) -> AsyncIterator[bytes]:
    """A request whose body takes until something has happened."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"data": '
        before_the_end()
        yield b"[1, 2]}"

    return pieces()


def test_a_net_that_is_removed_while_the_body_arrives(
    http: AppClient, store: Shelf, compute: WorkerCompute
) -> None:
    net_id = http.post("/nets?name=leaving", content=times(3)).json()["id"]
    http.run(compute.forget(net_id))  # as in a replica that never opened it
    answer = http.post(
        "/nets/leaving/gradient",
        content=body(lambda: store.delete(net_id)),
        headers={"Content-Type": "application/json"},
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (404, "net_not_found"), answer.text
    assert problem["where"] == net_id
    assert http.post("/nets", content=times(3)).status_code == 201
    good = http.post(f"/nets/{net_id}/gradient", json={"data": [1, 2]})
    assert good.json()["gradients"] == {"x": [3, 3]}


def test_a_net_that_is_removed_before_its_download_opens_it(
    http: AppClient, store: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    net_id = http.post("/nets", content=times(4)).json()["id"]
    verify = LocalShelf.verify

    def removed(shelf: LocalShelf, ref: str) -> None:
        verify(shelf, ref)
        store.delete(ref)

    with monkeypatch.context() as patched:
        patched.setattr(LocalShelf, "verify", removed)
        answer = http.get(f"/nets/{net_id}/model")
    assert (answer.status_code, answer.json()["code"]) == (404, "net_not_found")


def test_a_name_that_moves_while_the_body_arrives(http: AppClient, store: Shelf) -> None:
    other = http.post("/nets?name=other", content=times(6)).json()["id"]
    http.post("/nets?name=moving", content=times(5))
    answer = http.post(
        "/nets/moving/gradient",
        content=body(lambda: store.bind("moving", other, replace=True)),
        headers={"Content-Type": "application/json"},
    )
    assert answer.json()["gradients"] == {"x": [5, 5]}
    answer = http.post("/nets/moving/gradient", json={"data": [1, 2]})
    assert answer.json()["gradients"] == {"x": [6, 6]}


def at_once(http: AppClient, *requests: tuple[str, str, dict[str, Any]]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        sent = (http._http.request(method, path, **options) for method, path, options in requests)
        return await asyncio.gather(*sent)

    found: list[Any] = http.run(all_of_them())
    return found


def test_the_same_net_twenty_times_at_once(http: AppClient, folder: Path) -> None:
    request = ("POST", "/nets?name=crowd", {"content": times(7)})
    statuses = sorted(answer.status_code for answer in at_once(http, *[request] * 20))
    assert statuses == [200] * 19 + [201]
    assert list((folder / "staging").iterdir()) == []


def test_twenty_nets_for_one_name_at_once(http: AppClient) -> None:
    models = [times(100 + k) for k in range(20)]
    answers = at_once(http, *[("POST", "/nets?name=raced", {"content": m}) for m in models])
    told = sorted((answer.status_code, answer.json().get("code")) for answer in answers)
    assert told == [(201, None)] + [(409, "name_taken")] * 19
    winner = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    assert http.get("/nets/raced").json()["id"] == winner


def test_calls_uploads_and_removals_at_once(http: AppClient) -> None:
    models = {factor: times(factor) for factor in range(20, 24)}
    ids = {f: http.post("/nets", content=m).json()["id"] for f, m in models.items()}
    requests, factors = [], []
    for turn in range(120):
        factor = 20 + turn % 4
        factors.append(factor)
        if turn % 11 == 0:
            requests.append(("DELETE", f"/nets/{ids[factor]}", {}))
        elif turn % 7 == 0:
            requests.append(("POST", "/nets", {"content": models[factor]}))
        else:
            call = {"content": json.dumps({"data": [1, 2], "wrt": ["x", "w"][turn % 2 :]})}
            headers = {"Content-Type": "application/json"}
            requests.append(("POST", f"/nets/{ids[factor]}/gradient", {**call, "headers": headers}))
    for factor, (_, path, _), answer in zip(
        factors, requests, at_once(http, *requests), strict=True
    ):
        if answer.status_code == 404:
            assert answer.json()["code"] == "net_not_found"
        elif path.endswith("/gradient"):
            assert answer.status_code == 200, answer.text
            gradients = answer.json()["gradients"]
            assert gradients["w"] == 3
            assert gradients.get("x", [factor] * 2) == [factor] * 2
        else:
            assert answer.status_code in {200, 201, 204}, answer.text
