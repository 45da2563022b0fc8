"""A process that is asked to stop answers what it was asked, and says meanwhile that it goes.

And what it wrote to its log in the meantime.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import onnx.parser
import psutil
import pytest

from support.balanced import Replica, replicas, wait_until

DRAIN = 1.0
SECRET = "Bearer pg_a-secret-of-somebody"
NUMBER = 8675309.25  # part of a request's data
TRACE = "0af7651916cd43dd8448eb211c80319c"
# As slow as it is asked to be: a call of it lasts while the signal comes.
SLOW = """
<ir_version: 10, opset_import: ["" : 21]>
slow (int64 trips, float[1] x) => (float[1] y) {
    y = Loop (trips, , x) <body = turn (int64 i, bool c, float[1] a) => (bool d, float[1] b) {
        d = Identity (c)
        b = Cos (a)
    }>
}
"""


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    settings = {"PORTGRAD_DRAIN_SECONDS": str(DRAIN), "PORTGRAD_LOG_FORMAT": "json"}
    with replicas(tmp_path, ["replica"], **settings) as running:
        yield running["replica"]


@pytest.fixture
def http(replica: Replica) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{replica.port}", timeout=60) as client:
        model = onnx.parser.parse_model(SLOW).SerializeToString()
        assert client.post("/nets?name=slow", content=model).status_code == 201
        yield client


def run(http: httpx.Client, trips: int) -> httpx.Response:
    headers = {"Authorization": SECRET, "Traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    data = {"trips": trips, "x": [NUMBER]}
    return http.post("/nets/slow/evaluate", json={"data": data}, headers=headers)


def trips_of(http: httpx.Client, seconds: float) -> int:
    """How many trips take about that long here."""
    run(http, 10)
    begun = time.monotonic()
    run(http, 20_000)
    return int(20_000 * seconds / (time.monotonic() - begun))


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_what_was_asked_is_answered(tmp_path: Path, replica: Replica, http: httpx.Client) -> None:
    trips = trips_of(http, DRAIN + 1)
    with ThreadPoolExecutor() as pool:
        slow: list[Future[httpx.Response]] = [pool.submit(run, http, trips) for _ in range(2)]
        time.sleep(0.2)
        assert http.get("/readyz").status_code == 200
        replica.process.send_signal(signal.SIGTERM)
        wait_until(lambda: http.get("/readyz").status_code == 503, "it is not ready")
        late = http.get("/nets")
        assert (late.status_code, late.headers["connection"]) == (200, "close")
        assert http.get("/readyz").json()["found"].endswith("draining: yes")
        assert [call.result().status_code for call in slow] == [200, 200]
    assert replica.process.wait(60) == 0
    log = (tmp_path / "replica.log").read_text()
    assert SECRET not in log
    assert str(NUMBER) not in log
    check_lines(lines(tmp_path / "replica.log"), len(slow))


def check_lines(told: list[dict[str, Any]], slow: int) -> None:
    """Every line is JSON, uvicorn's too, and every request has its own."""
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in told)
    assert {line["logger"] for line in told} >= {"uvicorn.error", "portgrad.access"}
    assert any("Asked to stop" in line["message"] for line in told)
    access = [line for line in told if line["logger"] == "portgrad.access"]
    calls = [line for line in access if line["route"] == "/nets/{net}/evaluate"]
    assert len(calls) == slow + 2
    for call in calls:
        assert (call["method"], call["status"], call["level"]) == ("POST", 200, "INFO")
        assert (call["owner"], call["client"], call["trace_id"]) == ("local", "127.0.0.1", TRACE)
        assert len(call["net"]) == 64
        assert min(call["bytes_in"], call["bytes_out"]) > 20
        stages = call["ms"]
        assert stages["total"] >= stages["run"] > 0
        assert call["request_id"]
    # Probes that went well would drown the rest.
    assert {line["status"] for line in access if line["route"] == "/readyz"} == {503}
    assert {line.get("code") for line in access if line["status"] == 503} == {"not_ready"}


def test_asked_twice_it_ends_at_once_and_leaves_nobody(
    replica: Replica, http: httpx.Client
) -> None:
    family = psutil.Process(replica.process.pid).children(recursive=True)
    with ThreadPoolExecutor() as pool:
        endless = pool.submit(run, http, 10**12)
        time.sleep(0.2)
        replica.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        begun = time.monotonic()
        assert replica.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert time.monotonic() - begun < 2
        with pytest.raises(httpx.TransportError):
            endless.result()
    wait_until(lambda: not any(map(psutil.Process.is_running, family)), "its workers are gone")
