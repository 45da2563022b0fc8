"""Gradient calls on the service and their echo: as the SDK makes them, and as JSON.

    python -m benchmarks.serving.calls [--floats 16 1000000] [--turns 20] [--json]

prints what each takes and where the time goes, for whoever works on it.
"""

from __future__ import annotations

import argparse
import http.client
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson

from benchmarks.serving import nets, product
from benchmarks.serving.program import Program, echo, portgrad
from benchmarks.serving.turns import Call, by_turns
from benchmarks.serving.where import spent
from portgrad_client import Client, Net, calls


@dataclass(frozen=True)
class Servers:
    """The service and both echoes, each with a client of the SDK."""

    service: Program
    bare: Program
    framework: Program
    client: Client
    to_bare: Client
    to_framework: Client

    def calls(self, net: Net, data: np.ndarray) -> dict[str, Call]:
        """The SDK's call, and its body sent to the echoes by the SDK's own transport."""
        request = calls.build(net, "gradient", data, {}).request()
        return {
            "gradient": lambda: net.gradient(data),
            "echo": lambda: self.to_bare._transport.post("/echo", *request),
            "framework": lambda: self.to_framework._transport.post("/echo", *request),
        }

    def program(self, call: str) -> Program:
        """Who answers a call of that name."""
        return {"echo": self.bare, "framework": self.framework}.get(call, self.service)


@contextmanager
def servers(folder: Path, **settings: Any) -> Iterator[Servers]:
    """All three, over folders of their own."""
    with (
        portgrad(folder / "service", **settings) as service,
        echo(folder / "bare") as bare,
        echo(folder / "framework", framework=True) as framework,
        Client(service.url) as client,
        Client(bare.url) as to_bare,
        Client(framework.url) as to_framework,
    ):
        yield Servers(service, bare, framework, client, to_bare, to_framework)


def as_json(url: str, net: Net, x: np.ndarray) -> Call:
    """The call with numbers as JSON, written and read by orjson, over one kept connection."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
    headers = {"Content-Type": "application/json"}

    def call() -> np.ndarray:
        body = orjson.dumps({"data": {"Input": x}}, option=orjson.OPT_SERIALIZE_NUMPY)
        connection.request("POST", f"/nets/{net.id}/gradient", body, headers)
        answer = orjson.loads(connection.getresponse().read())
        return np.array(answer["gradients"]["Input"], np.float32)

    return call


def point(size: int) -> np.ndarray:
    """Where the gradient of the product is taken."""
    return np.random.default_rng(1).standard_normal((1, size)).astype(np.float32)


def check(found: np.ndarray, size: int) -> None:
    """Whether this is the gradient.

    Raises:
        AssertionError: it is not, and what was measured was another thing.
    """
    expected = product.gradient(product.weights(size), point(size))[0]
    np.testing.assert_allclose(
        np.ravel(found), expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max()
    )


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--floats", type=int, nargs="+", default=[16, 1_000_000])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="numbers as JSON, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as all_of_them:
        for size in given.floats:
            _show(all_of_them, size, given.turns, given.json)


def _show(those: Servers, size: int, turns: int, json: bool) -> None:
    net, x = those.client.upload(nets.tanh_mlp(size)), point(size)
    check(net.gradient(x)["Input"], size)
    kinds = those.calls(net, x)
    if json:
        kinds["JSON"] = as_json(those.service.url, net, x)
    count = 50 if size < 10_000 else 1
    times = by_turns(kinds, count, turns)
    print(f"{size} floats, {turns} turns of {count} calls")
    for name, each in times.items():
        low, high = each.p50.quartiles
        told = f"p50 {each.p50.median:.3f} ms ({low:.3f} to {high:.3f}), p99 {each.p99:.3f}"
        print(f"  {name}: {told}")
    for other in ("echo", "framework"):
        ratio = times["gradient"].over(times[other])
        low, high = ratio.quartiles
        print(f"  gradient / {other}: {ratio.median:.2f} ({low:.2f} to {high:.2f})")
    costs = {n: spent(call, those.program(n), count * turns) for n, call in kinds.items()}
    for name, cost in costs.items():
        print(f"  {name}, CPU ms a call: {cost}")
    print(f"  gradient / echo, CPU: {costs['gradient'].cpu / costs['echo'].cpu:.2f}")
    stages = [dict(net.gradient(x).timings) for _ in range(20)]
    told = ", ".join(f"{s} {np.median([e.get(s, 0) for e in stages]) * 1e3:.2f}" for s in stages[0])
    print(f"  stages in the service, ms: {told}")


if __name__ == "__main__":
    main()
