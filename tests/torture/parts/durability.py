"""Uploads while the whole service is killed again and again: what was acknowledged is there."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np

from torture.nets import written
from torture.plan import Plan
from torture.report import Clock, Row
from torture.service import Service

Acknowledged = dict[str, bytes]  # what was uploaded, by id


def run(plan: Plan) -> Iterator[Row]:
    """A row for what is kept, and one for the service's own state."""
    clock = Clock()
    chance = random.Random(plan.seed)
    service = Service(plan.place("durability"), threads=1)
    acknowledged: Acknowledged = {}
    starts = 0
    try:
        until = time.monotonic() + plan.seconds(180)
        while time.monotonic() < until or starts < 2:
            service.start()
            starts += 1
            _upload_until_killed(service, acknowledged, chance)
        service.start()
        lost, damaged = _looked_up(service, acknowledged)
        left = sum(1 for _ in (service.data / "staging").glob("*"))
    finally:
        service.stop()
    count = len(acknowledged)
    figure = f"{count} uploads over {starts} kills: {lost} lost, {damaged} damaged"
    ok = count > 0 and not lost and not damaged
    yield Row("durability: acknowledged uploads", figure, "0 lost, 0 damaged", ok, clock())
    yield Row("durability: left of broken uploads", f"{left} files", "0", left == 0, clock())


def _upload_until_killed(service: Service, kept: Acknowledged, chance: random.Random) -> None:
    """Four clients upload until the service is gone, at a moment that nobody knows."""
    threads = [
        threading.Thread(target=_upload, args=(service.url, kept, chance.random()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    time.sleep(chance.uniform(0.5, 2.5))
    service.kill()
    for thread in threads:
        thread.join()


def _upload(url: str, kept: Acknowledged, seed: float) -> None:
    rng = np.random.default_rng(int(seed * 2**53))
    with httpx.Client(base_url=url, timeout=30) as http:
        while True:
            weights = rng.standard_normal(int(rng.integers(1, 200_000))).astype(np.float32)
            model = written(
                f"(float[{weights.size}] x) => (float[{weights.size}] y) {{ y = Mul(x, w) }}",
                {"w": weights},
            )
            name = f"n{rng.integers(2**40)}"
            try:
                got = http.post("/nets", content=model, params={"name": name})
            except httpx.TransportError:
                return
            if got.status_code == 201:
                kept[got.json()["id"]] = model


def _looked_up(service: Service, kept: Acknowledged) -> tuple[int, int]:
    """How many nets are gone, and how many are not what was uploaded."""
    lost = damaged = 0
    with httpx.Client(base_url=service.url, timeout=60) as http:
        for net, model in kept.items():
            got = http.get(f"/nets/{net}/model")
            described = http.get(f"/nets/{net}")
            if got.status_code == 404 or described.status_code == 404:
                lost += 1
            elif not (got.content == model and described.is_success and described.json()["names"]):
                damaged += 1
        some = list(kept)[:50]
        damaged += sum(not _computes(http, net) for net in some)
    return lost, damaged


def _computes(http: httpx.Client, net: str) -> bool:
    size = http.get(f"/nets/{net}").json()["inputs"][0]["shape"][0]
    return http.post(f"/nets/{net}/gradient", json={"data": [0.0] * size}).is_success
