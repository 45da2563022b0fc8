"""Metrics of an application over an echoing compute: every number is one that the test made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from portgrad.api.app import create_app
from portgrad.api.telling.gauges import Watched
from portgrad.compute.stats import PoolStats, WorkerStats
from portgrad.errors import InvalidRequest, StoreFailed
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute, fake_net
from support.http import AppClient, serving

CALL = "/nets/{net}/gradient"


@pytest.fixture
def compute() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def http(tmp_path: Path, compute: FakeCompute) -> Iterator[AppClient]:
    settings = Settings(metrics_nets=2)
    with serving(create_app(LocalStore(tmp_path), compute, settings)) as client:
        yield client


def scrape(http: AppClient) -> dict[tuple[str, ...], float]:
    """Values by name and labels, in order of the labels' names."""
    families = text_string_to_metric_families(http.get("/metrics").text)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def upload(http: AppClient, name: str, **options: Any) -> str:
    answer = http.post(f"/nets?name={name}", content=fake_net(note=name), **options)
    return str(answer.json()["id"])


def call(http: AppClient, name: str) -> None:
    http.post(f"/nets/{name}/gradient", json={"data": [1]})


def test_requests_by_route_method_and_status(http: AppClient, compute: FakeCompute) -> None:
    upload(http, "a")
    call(http, "a")
    call(http, "a")
    compute.error = InvalidRequest("It does not fit.", code="wrong_shape")
    call(http, "a")
    for path in ("/nets/nobody/gradient", "/such/../paths", "/are/many"):
        http.post(path, json={"data": [1]})
    http.request("BREW", "/nets/a/gradient")
    found = scrape(http)
    requests = {
        key[1:]: value for key, value in found.items() if key[0] == "portgrad_requests_total"
    }
    assert requests == {
        ("POST", "/nets", "201"): 1,
        ("POST", CALL, "200"): 2,
        ("POST", CALL, "422"): 1,
        ("POST", CALL, "404"): 1,
        ("POST", "unmatched", "404"): 2,
        ("OTHER", CALL, "405"): 1,
    }
    problems = {key[1:]: value for key, value in found.items() if "problems_total" in key[0]}
    assert problems == {
        ("wrong_shape", "422"): 1,
        ("net_not_found", "404"): 1,
        ("no_such_route", "404"): 2,
        ("method_not_allowed", "405"): 1,
    }
    assert found["portgrad_request_duration_seconds_count", CALL] == 5


def test_stages_and_bytes(http: AppClient) -> None:
    upload(http, "a")
    before = scrape(http)
    body = b'{"data": [1, 2]}'
    headers = {"Content-Type": "application/json"}
    answer = http.post("/nets/a/gradient", content=body, headers=headers)
    found = scrape(http)

    def more(*key: str) -> float:
        return found[key] - before[key]

    # As the echoing compute says: 1 ms in the queue, 2 ms in the run.
    assert more("portgrad_stage_duration_seconds_sum", "queue") == pytest.approx(0.001)
    assert more("portgrad_stage_duration_seconds_sum", "run") == pytest.approx(0.002)
    assert more("portgrad_stage_duration_seconds_bucket", "0.001", "run") == 0
    assert more("portgrad_stage_duration_seconds_bucket", "0.0025", "run") == 1
    assert more("portgrad_stage_duration_seconds_count", "decode") == 1
    assert more("portgrad_stage_duration_seconds_count", "encode") == 1
    assert more("portgrad_body_bytes_total", "in") == len(body)
    assert more("portgrad_body_bytes_total", "out") > len(answer.content)  # and the scrape before


def test_the_busiest_nets_and_the_others(http: AppClient) -> None:
    ids = {name: upload(http, name) for name in ("a", "b", "c")}
    for name in ("a", "a", "b", "c", "nobody"):
        call(http, name)
    found = scrape(http)
    calls = {key[1]: value for key, value in found.items() if key[0] == "portgrad_net_calls_total"}
    assert calls == {ids["a"]: 2, ids["b"]: 1, "other": 1}


POOL = PoolStats(
    workers=(
        WorkerStats("worker-1", 0, "busy", job="gradient", seconds=2.0, nets=3, sessions=5),
        WorkerStats("worker-2", 0, "idle", nets=1),
        WorkerStats("worker-3", 0, "starting", spare=True),
    ),
    wanted=2,
    queued=7,
    max_queued=256,
    quarantined=1,
    worker_memory_bytes=10**9,
    others={"nursery": 0},
    started=9,
    deaths={"crashed": 2, "out_of_memory": 1},
    stopped=4,
    killed=3,
    retries=2,
    net_hits=90,
    net_misses=10,
    session_hits=80,
    session_misses=20,
    batched={1: 5, 2: 1, 30: 2},
)
TOLD = [
    (("portgrad_workers", "busy"), 1),
    (("portgrad_workers", "idle"), 1),
    (("portgrad_workers", "starting"), 1),
    (("portgrad_workers", "stopping"), 0),
    (("portgrad_workers_wanted",), 2),
    (("portgrad_spare_workers",), 1),
    (("portgrad_queued_jobs",), 7),
    (("portgrad_queued_jobs_limit",), 256),
    (("portgrad_quarantined_nets",), 1),
    (("portgrad_cached_nets", "worker-1"), 3),
    (("portgrad_cached_sessions", "worker-1"), 5),
    (("portgrad_workers_started_total",), 9),
    (("portgrad_worker_deaths_total", "crashed"), 2),
    (("portgrad_worker_deaths_total", "out_of_memory"), 1),
    (("portgrad_deadline_stops_total",), 4),
    (("portgrad_deadline_kills_total",), 3),
    (("portgrad_retries_total",), 2),
    (("portgrad_cache_lookups_total", "nets", "hit"), 90),
    (("portgrad_cache_lookups_total", "nets", "miss"), 10),
    (("portgrad_cache_lookups_total", "sessions", "hit"), 80),
    (("portgrad_cache_lookups_total", "sessions", "miss"), 20),
    (("portgrad_batched_calls_bucket", "1.0"), 5),
    (("portgrad_batched_calls_bucket", "16.0"), 6),
    (("portgrad_batched_calls_bucket", "32.0"), 8),
    (("portgrad_batched_calls_bucket", "+Inf"), 8),
    (("portgrad_batched_calls_sum",), 67),
    (("portgrad_batched_calls_count",), 8),
    (("portgrad_worker_memory_limit_bytes",), 10**9),
    (("portgrad_worker_resident_memory_bytes", "worker-2"), 0),  # no process has this id
    (("portgrad_ready",), 1),
    (("portgrad_draining",), 0),
    (("portgrad_store_readable",), 1),
    (("portgrad_store_writable",), 1),
    (("portgrad_store_nets",), 1),
    (("portgrad_requests_under_way",), 1),
]


def test_what_is_looked_up(http: AppClient, compute: FakeCompute) -> None:
    upload(http, "a")
    compute.pool = POOL
    found = scrape(http)
    assert {key: found.get(key) for key, _ in TOLD} == dict(TOLD)
    assert found["portgrad_store_bytes",] > len(fake_net())
    assert found["portgrad_store_free_bytes",] > 0
    assert found["portgrad_process_resident_memory_bytes",] > 10**7
    assert found["portgrad_process_open_fds",] > 0


def test_memory_is_that_of_the_process(http: AppClient, compute: FakeCompute) -> None:
    import os

    compute.pool = replace(POOL, workers=(WorkerStats("worker-1", os.getpid(), "idle"),))
    found = scrape(http)
    mine = found["portgrad_process_resident_memory_bytes",]
    memory = found["portgrad_worker_resident_memory_bytes", "worker-1"]
    assert memory == pytest.approx(mine, rel=0.2)


def test_any_part_may_have_a_number_of_its_own(http: AppClient) -> None:
    http.app.state.service.scrape.watch(Watched("taken", "What is taken.", lambda: 5.0))
    assert scrape(http)["portgrad_taken",] == 5


def test_a_store_that_cannot_be_counted(http: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreFailed("It is gone.")

    store = http.app.state.service.store
    for method in ("ready", "writable", "figures"):
        monkeypatch.setattr(store, method, fail)
    found = scrape(http)
    assert (found["portgrad_store_readable",], found["portgrad_ready",]) == (0, 0)
    assert ("portgrad_store_nets",) not in found


def test_two_applications_count_for_themselves(tmp_path: Path, http: AppClient) -> None:
    http.get("/nets")
    other = create_app(LocalStore(tmp_path / "other"), FakeCompute(), Settings())
    with serving(other) as client:
        key = ("portgrad_requests_total", "GET", "/nets", "200")
        assert scrape(client).get(key) is None
        assert scrape(http)[key] == 1


def test_both_formats_are_valid_and_every_metric_is_told(http: AppClient) -> None:
    upload(http, "a")
    call(http, "a")
    plain = http.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(plain.text))
    assert all(family.documentation and family.name.startswith("portgrad_") for family in families)
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = http.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert len(list(open_metrics(answer.text))) == len(families)
    assert "_created" not in plain.text + answer.text


def test_codes_that_a_worker_makes_up_are_counted_together(
    http: AppClient, compute: FakeCompute
) -> None:
    http.post("/nets?name=echo", content=fake_net())
    for number in range(310):
        compute.error = InvalidRequest("No.", code=f"made_up_{number}")
        assert http.post("/nets/echo/gradient", json={"data": [1]}).status_code == 422
    counted = {key: n for key, n in scrape(http).items() if key[0] == "portgrad_problems_total"}
    assert len(counted) == 301
    assert counted["portgrad_problems_total", "other", "422"] == 10
