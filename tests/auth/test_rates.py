"""How often, how much at once, and how many failures: exactly, and with bounded memory."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from portgrad.api.app import create_app
from portgrad.api.auth import rates
from portgrad.api.auth.callers import LOCAL, Caller, Quota
from portgrad.api.auth.rates import Buckets, Turns
from portgrad.api.auth.refusals import PER_MINUTE, Refusals
from portgrad.codecs.model import Answer
from portgrad.compute.jobs import Job
from portgrad.errors import Forbidden, TooManyRequests, Unauthenticated
from portgrad.settings import Settings
from portgrad.store import LocalStore
from portgrad.store.keys import Keys
from support.fake_compute import FakeCompute, fake_net
from support.http import AppClient, serving


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_holds_a_minutes_worth_and_fills_as_time_goes() -> None:
    clock = Clock()
    buckets = Buckets(clock)
    assert [buckets.take("ann", 6) for _ in range(6)] == [0.0] * 6
    assert buckets.take("ann", 6) == pytest.approx(10.0)
    assert buckets.take("bob", 6) == 0.0
    clock.now += 9.0
    assert buckets.take("ann", 6) == pytest.approx(1.0)  # what was refused costs nothing
    clock.now += 1.0
    assert buckets.take("ann", 6) == 0.0
    assert buckets.take("ann", 6) == pytest.approx(10.0)
    clock.now += 3600.0
    assert [buckets.take("ann", 6) for _ in range(7)][5:] == [0.0, pytest.approx(10.0)]


def test_no_more_buckets_are_kept_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "KEPT", 10)
    buckets = Buckets(Clock())
    for number in range(1000):
        buckets.take(f"caller {number}", 1)
    assert len(buckets._full) == 10


def test_turns_at_once_are_given_back() -> None:
    turns = Turns(Settings(max_concurrent=2))
    bob = Caller("bob", frozenset(), "k", Quota(max_concurrent=1))
    begun = [turns.begin(LOCAL), turns.begin(LOCAL), turns.begin(bob)]
    for caller in (LOCAL, bob):
        with pytest.raises(TooManyRequests) as caught:
            turns.begin(caller)
        assert caught.value.code == "too_many_at_once"
    for turn in begun:
        turns.end(turn)
    assert not turns._now
    turns.end(turns.begin(LOCAL))
    turns.end(Turns(Settings()).begin(LOCAL))  # whoever may do anything is not counted


def test_a_key_has_its_own_rate_over_http(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    slow = keys.create("ann", ["read"], requests_per_minute=2)[1]
    other = keys.create("ann", ["read"])[1]
    settings = Settings(data=tmp_path, auth="required", requests_per_minute=3)
    with serving(create_app(LocalStore(tmp_path), FakeCompute(), settings)) as http:

        def ask(key: str) -> Any:
            return http.get("/nets", headers={"Authorization": f"Bearer {key}"})

        assert [ask(slow).status_code for _ in range(3)] == [200, 200, 429]
        refused = ask(slow)
        assert refused.json()["code"] == "rate_limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        # Another key of the same owner has a rate of its own: the service's.
        assert [ask(other).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert http.get("/healthz").status_code == 200


class Waiting(FakeCompute):
    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def call(self, job: Job) -> Answer:
        self.asked.set()
        await self.go.wait()
        return await super().call(job)


def test_calls_at_once_over_http(tmp_path: Path) -> None:
    compute = Waiting()
    app = create_app(LocalStore(tmp_path), compute, Settings(data=tmp_path, max_concurrent=1))

    async def overlapping(client: AppClient) -> list[int]:
        http = client._http
        await http.post("/nets?name=echo", content=fake_net())
        first = asyncio.create_task(http.post("/nets/echo/gradient", json={"data": [1]}))
        await compute.asked.wait()
        second = await http.post("/nets/echo/gradient", json={"data": [1]})
        assert second.json()["code"] == "too_many_at_once"
        assert second.headers["retry-after"] == "1"
        compute.go.set()
        third = (await first, await http.post("/nets/echo/gradient", json={"data": [1]}))
        return [second.status_code, *(one.status_code for one in third)]

    with serving(app) as client:
        assert client.run(overlapping(client)) == [429, 200, 200]


def failing(refusals: Refusals, address: str | None, error: Any = None) -> str:
    scope = {
        "method": "GET",
        "client": (address, 1) if address else None,
        "state": {"caller": LOCAL, "request_id": "r1"},
    }
    return refusals.count(scope, error or Unauthenticated("No.", code="invalid_key")).code


def test_failures_are_limited_by_address(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    with caplog.at_level(logging.INFO, "portgrad.audit"):
        told = [failing(refusals, "192.0.2.1") for _ in range(PER_MINUTE + 5)]
        assert told == ["invalid_key"] * PER_MINUTE + ["too_many_failures"] * 5
        assert len(caplog.records) == PER_MINUTE
        assert failing(refusals, "192.0.2.2") == "invalid_key"
        assert failing(refusals, "192.0.2.1", Forbidden("No.")) == "missing_scope"
        # One who has every address of a network is one.
        for number in range(PER_MINUTE):
            failing(refusals, f"2001:db8::{number:x}")
        assert failing(refusals, "2001:db8::ffff:1") == "too_many_failures"
        assert failing(refusals, "2001:db8:0:1::1") == "invalid_key"
        refusals._buckets._clock = lambda: 1e9
        assert failing(refusals, "192.0.2.1") == "invalid_key"
        assert caplog.records[-1].unsaid == 6  # type: ignore[attr-defined]


def test_a_right_key_is_let_in_from_where_many_were_wrong(tmp_path: Path) -> None:
    key = Keys(tmp_path).create("ann", ["read"])[1]
    settings = Settings(data=tmp_path, auth="required")
    with serving(create_app(LocalStore(tmp_path), FakeCompute(), settings)) as http:
        wrong = {"Authorization": f"Bearer {key[:-1]}x"}
        told = [http.get("/nets", headers=wrong) for _ in range(PER_MINUTE + 1)]
        assert [one.status_code for one in told] == [401] * PER_MINUTE + [429]
        assert told[-1].json()["code"] == "too_many_failures"
        assert int(told[-1].headers["retry-after"]) >= 1
        assert http.get("/nets", headers={"Authorization": f"Bearer {key}"}).status_code == 200
