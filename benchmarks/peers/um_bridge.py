"""UM-Bridge: its server, its client, and one that keeps its connection."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson
import umbridge

from benchmarks.serving.program import Program, free_port, running
from benchmarks.serving.turns import Call


@contextmanager
def serving(folder: Path, python: Path, sizes: Sequence[int]) -> Iterator[Program]:
    """The server, with a model for each size."""
    port = free_port()
    models = [str(size) for size in sizes]
    arguments = ["-m", "benchmarks.peers.um_bridge_models", str(port), *models]
    with running(arguments, folder, port, "/Info", python=python) as program:
        yield program


def calls(url: str, x: np.ndarray) -> dict[str, Call]:
    """A gradient by both."""
    return {"UM-Bridge HTTPModel": _own(url, x), "UM-Bridge as JSON": _raw(url, x)}


def _own(url: str, x: np.ndarray) -> Call:
    model, point = umbridge.HTTPModel(url, f"product_{len(x)}"), [x.tolist()]
    return lambda: np.array(model.gradient(0, 0, point, [1.0]), np.float32)


def _raw(url: str, x: np.ndarray) -> Call:
    """As `calls.as_json` asks the service."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=120)
    fields = {"name": f"product_{len(x)}", "outWrt": 0, "inWrt": 0, "sens": [1.0], "config": {}}
    headers = {"Content-Type": "application/json"}

    def call() -> np.ndarray:
        body = orjson.dumps({**fields, "input": [x]}, option=orjson.OPT_SERIALIZE_NUMPY)
        connection.request("POST", "/Gradient", body, headers)
        return np.array(orjson.loads(connection.getresponse().read())["output"], np.float32)

    return call
