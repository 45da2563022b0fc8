"""How long a gradient call takes, from the SDK in a process of its own to a server on loopback.

Median and 99th percentile for a tiny net, and for the residual net at batch 32 where it is given;
beside each the same bodies to a server that only sends back as many bytes as the answer has.

    python benchmarks/tiny_call.py --resnet resnet_2b.onnx
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from portgrad import samples
from portgrad_client import Client, Net

ECHO = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    size = int(dict(scope["headers"]).get(b"x-size", b"2"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": bytes(size)})
"""


@contextmanager
def server(*arguments: str, folder: str) -> Iterator[str]:
    """A server in a process of its own, on a free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", *arguments, "--port", port]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                httpx.get(url + "/healthz", timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def timed(call: Any, count: int) -> list[float]:
    """Milliseconds of each of some calls, after a few that warm up."""
    for _ in range(max(3, count // 20)):
        call()
    spent = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        spent.append((time.perf_counter() - start) * 1e3)
    return spent


def figures(name: str, spent: list[float]) -> dict[str, Any]:
    """A row of the report."""
    middle, high = np.percentile(spent, [50, 99])
    return {"call": name, "calls": len(spent), "median_ms": float(middle), "p99_ms": float(high)}


class Recorded(httpx.HTTPTransport):
    """Keeps what the SDK sent last, and how many bytes came back."""

    sent = b""
    received = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        Recorded.sent = request.read()
        response = super().handle_request(request)
        Recorded.received = len(response.read())
        return response


def measure(
    name: str, net: Net, data: Any, echo: httpx.Client, count: int, **options: Any
) -> list[dict[str, Any]]:
    """A gradient call of a net, and the echo of its bodies."""
    stages: list[dict[str, float]] = []
    spent = timed(lambda: stages.append(dict(net.gradient(data, **options).timings)), count)
    row = figures(name, spent)
    row["stages_ms"] = {
        stage: float(np.median([each.get(stage, 0.0) for each in stages])) * 1e3
        for stage in stages[-1]
    }
    body, size = Recorded.sent, {"x-size": str(Recorded.received)}
    row |= {"sent_bytes": len(body), "received_bytes": Recorded.received}
    other = figures(
        f"echo of {name}", timed(lambda: echo.post("/", content=body, headers=size), count)
    )
    return [row, {**other, "sent_bytes": len(body), "received_bytes": Recorded.received}]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time gradient calls.")
    parser.add_argument("--resnet", type=Path, help="resnet_2b.onnx")
    parser.add_argument("--calls", type=int, default=1000, help="calls of the tiny net")
    parser.add_argument("--resnet-calls", type=int, default=200)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "echo.py").write_text(ECHO)
        serve = ("uvicorn", "--factory", "portgrad.main:create_app", "--log-level", "warning")
        echo_serve = ("uvicorn", "echo:app", "--log-level", "warning")
        with (
            server(*serve, folder=folder) as url,
            server(*echo_serve, folder=folder) as echo_url,
            httpx.Client(transport=Recorded()) as http,
            httpx.Client(base_url=echo_url) as echo,
        ):
            client = Client(url, http_client=http)
            tiny = client.upload(samples.linear())
            x = rng.standard_normal((1, 4)).astype(np.float32)
            rows += measure("tiny net, inputs", tiny, x, echo, given.calls)
            if given.resnet is not None:
                resnet = client.upload(given.resnet)
                batch = rng.random((32, 3, 32, 32), np.float32)
                calls = given.resnet_calls
                rows += measure("resnet_2b at batch 32, inputs", resnet, batch, echo, calls)
                rows += measure("resnet_2b at batch 32, all", resnet, batch, echo, calls, wrt="all")
    show(rows)


def show(rows: list[dict[str, Any]]) -> None:
    """The figures as a table and as JSON."""
    load = os.getloadavg()[0]
    title = f"milliseconds on {os.cpu_count()} cores, load {load:.1f}"
    table = Table("call", "calls", "median", "p99", "sent", "received", title=title)
    for row in rows:
        numbers = (f"{row['median_ms']:.2f}", f"{row['p99_ms']:.2f}")
        sizes = (str(row["sent_bytes"]), str(row["received_bytes"]))
        table.add_row(row["call"], str(row["calls"]), *numbers, *sizes)
    Console().print(table)
    for row in rows:
        if "stages_ms" in row:
            shares = ", ".join(f"{name} {ms:.2f}" for name, ms in row["stages_ms"].items())
            print(f"{row['call']}, within the service: {shares}")
    print(json.dumps({"cores": os.cpu_count(), "load": load, "rows": rows}))


if __name__ == "__main__":
    main()
