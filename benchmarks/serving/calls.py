"""Gradient calls on the service and their echo: as the SDK makes them, and as JSON.

    python -m benchmarks.serving.calls [--floats 16 1000000] [--turns 20] [--json]

prints what each takes and where the time goes, for whoever works on it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson

from benchmarks.serving import nets
from benchmarks.serving.program import Program, echo, portgrad
from benchmarks.serving.turns import Call, by_turns
from benchmarks.serving.where import spent
from portgrad_client import Client, Net, calls


@dataclass(frozen=True)
class Pair:
    """The service and the echo, each with a client of the SDK."""

    service: Program
    echo: Program
    client: Client
    mirror: Client

    def gradient(self, net: Net, data: np.ndarray, **options: Any) -> Call:
        """The call of the SDK."""
        return lambda: net.gradient(data, **options)

    def echoed(self, net: Net, data: np.ndarray, **options: Any) -> Call:
        """The body of that call, sent and received by the SDK's own transport."""
        request = calls.build(net, "gradient", data, {}, **options).request()
        return lambda: self.mirror._transport.call("POST", "/echo", **request)


@contextmanager
def pair(folder: Path, **settings: Any) -> Iterator[Pair]:
    """Both, over folders of their own."""
    with (
        portgrad(folder / "service", **settings) as service,
        echo(folder / "echo") as mirror,
        Client(service.url) as client,
        Client(mirror.url) as other,
    ):
        yield Pair(service, mirror, client, other)


def as_json(url: str, net: Net, x: np.ndarray) -> Call:
    """The call with numbers as JSON, written and read by orjson, over one kept connection."""
    http = httpx.Client(timeout=60)
    headers = {"Content-Type": "application/json"}

    def call() -> np.ndarray:
        body = orjson.dumps({"data": {"Input": x}}, option=orjson.OPT_SERIALIZE_NUMPY)
        answer = http.post(f"{url}/nets/{net.id}/gradient", content=body, headers=headers)
        found = orjson.loads(answer.raise_for_status().content)["gradients"]["Input"]
        return np.array(found, np.float32)

    return call


def point(size: int) -> np.ndarray:
    """Where the gradient of `nets.tanh_mlp` is taken."""
    return np.random.default_rng(1).standard_normal((1, size)).astype(np.float32)


def check(found: np.ndarray, size: int) -> None:
    """Whether this is the gradient.

    Raises:
        AssertionError: it is not, and what was measured was another thing.
    """
    expected = nets.gradient(nets.weights(size), point(size))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--floats", type=int, nargs="+", default=[16, 1_000_000])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="numbers as JSON, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, pair(Path(folder)) as both:
        for size in given.floats:
            _show(both, size, given.turns, given.json)


def _show(both: Pair, size: int, turns: int, json: bool) -> None:
    net, x = both.client.upload(nets.tanh_mlp(size)), point(size)
    check(net.gradient(x)["Input"], size)
    kinds: dict[str, Callable[[], Any]] = {
        "gradient": both.gradient(net, x),
        "echo": both.echoed(net, x),
    }
    if json:
        kinds["JSON"] = as_json(both.service.url, net, x)
    count = 50 if size < 10_000 else 1
    times = by_turns(kinds, count, turns)
    print(f"{size} floats, {turns} turns of {count} calls")
    for name, each in times.items():
        low, high = each.quartiles
        print(f"  {name}: p50 {each.p50:.3f} ms ({low:.3f} to {high:.3f}), p99 {each.p99:.3f}")
    ratio = times["gradient"].over(times["echo"])
    low, high = ratio.quartiles
    print(f"  gradient / echo: {ratio.of_medians:.2f} ({low:.2f} to {high:.2f})")
    costs = {
        name: spent(call, both.echo if name == "echo" else both.service, count * turns)
        for name, call in kinds.items()
    }
    for name, cost in costs.items():
        print(f"  {name}, CPU ms a call: {cost}")
    print(f"  gradient / echo, CPU: {costs['gradient'].cpu / costs['echo'].cpu:.2f}")
    stages = [dict(net.gradient(x).timings) for _ in range(20)]
    told = ", ".join(f"{s} {np.median([e.get(s, 0) for e in stages]) * 1e3:.2f}" for s in stages[0])
    print(f"  stages in the service, ms: {told}")


if __name__ == "__main__":
    main()
