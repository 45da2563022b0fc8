"""Two replicas on one store behind a real HAProxy, with the configuration that deploy/ ships."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from portgrad.samples import linear
from portgrad_client import Client, Net
from support.balanced import CONFIG, HAPROXY, REPLICAS, Balanced, balanced

pytestmark = pytest.mark.skipif(
    HAPROXY is None, reason="HAProxy is not installed: apt-get install haproxy"
)
# Where a request goes is decided by its name or id alone. These go to both replicas.
NAMES = [f"net-{number}" for number in range(6)]
ONES = {"data": [[1.0, 1.0, 1.0, 1.0]]}
CALLS, AT_ONCE = 200, 4


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Balanced]:
    # pytest's own folders can have paths too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="portgrad-"))
    with balanced(folder, **getattr(request, "param", {})) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def client(cluster: Balanced) -> Iterator[Client]:
    with Client(cluster.url) as client:
        yield client


def model(number: int) -> bytes:
    return linear(outputs=3, inputs=4, seed=number)


def slope(net: Net) -> np.ndarray:
    return net.gradient(np.ones((1, 4), np.float32))["Input"]


def answering(cluster: Balanced, url: str) -> str:
    """The replica that answers."""
    before = cluster.answered()
    assert httpx.get(cluster.url + url).is_success
    (name,) = cluster.answered() - before
    return name


def test_the_configuration_is_valid() -> None:
    addresses = dict.fromkeys(("BIND", "REPLICA_1", "REPLICA_2"), "127.0.0.1:1")
    command = [str(HAPROXY), "-c", "-dW", "-f", str(CONFIG)]  # warnings are errors
    checked = subprocess.run(
        command, env={**os.environ, **addresses}, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_a_net_stays_with_one_replica_and_every_replica_has_it(
    cluster: Balanced, client: Client
) -> None:
    nets = [client.upload(model(number), name=name) for number, name in enumerate(NAMES)]
    servers = set()
    for ref in (*NAMES, *(net.id for net in nets)):
        before = cluster.answered()
        for _ in range(4):
            posted = httpx.post(f"{cluster.url}/nets/{ref}/gradient", json=ONES)
            assert posted.is_success, posted.text
        (server,) = answers = cluster.answered() - before
        assert answers[server] == 4
        servers.add(server)
    assert servers == set(REPLICAS)
    # Every replica has every net, whoever took the upload.
    for replica in cluster.replicas.values():
        with Client(f"http://127.0.0.1:{replica.port}") as direct:
            assert [net.id for net in direct.nets()] == sorted(net.id for net in nets)
            assert np.array_equal(slope(direct.net("net-0")), slope(nets[0]))


def test_requests_without_a_net_go_to_every_replica(cluster: Balanced) -> None:
    assert {answering(cluster, "/nets") for _ in range(12)} == set(REPLICAS)


@pytest.mark.parametrize(
    ("cluster", "how", "retries", "status"),
    [
        pytest.param({}, signal.SIGKILL, 2, -signal.SIGKILL, id="killed"),
        # What was begun is answered, so that the balancer alone loses nothing.
        pytest.param({}, signal.SIGTERM, 0, 0, id="asked to stop"),
        pytest.param(
            {"PORTGRAD_DRAIN_SECONDS": "3"}, signal.SIGTERM, 0, 0, id="asked to stop, and drained"
        ),
    ],
    indirect=["cluster"],
)
def test_a_replica_that_goes_loses_no_request(
    cluster: Balanced, client: Client, how: signal.Signals, retries: int, status: int
) -> None:
    client = client.with_options(max_retries=retries)
    nets = [client.upload(model(number), name=name) for number, name in enumerate(NAMES)]
    expected = [slope(net) for net in nets]
    victim = answering(cluster, f"/nets/{nets[0].id}")
    (other,) = set(REPLICAS) - {victim}
    before = cluster.answered()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        calls = [pool.submit(slope, nets[number % len(nets)]) for number in range(CALLS)]
        calls[CALLS // 4].result()
        assert cluster.answered()[victim] > before[victim]
        assert cluster.replicas[victim].end(how) == status
        slopes = [call.result() for call in calls]
    for number, found in enumerate(slopes):
        assert np.array_equal(found, expected[number % len(nets)])
    assert answering(cluster, f"/nets/{nets[0].id}") == other
