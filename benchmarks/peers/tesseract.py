"""Tesseract: its runtime without a container, and its SDK."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tesseract_core import Tesseract

from benchmarks.serving.program import Program, free_port, running
from benchmarks.serving.turns import Call

API = Path(__file__).with_name("tesseract_api.py")


@contextmanager
def serving(folder: Path, python: Path, _sizes: Sequence[int]) -> Iterator[Program]:
    """The server, with arrays as base64, as its SDK starts it from a file."""
    port = free_port()
    arguments = ["-m", "tesseract_core.runtime", "serve", "--port", str(port)]
    told = {
        "TESSERACT_API_PATH": str(API),
        "TESSERACT_OUTPUT_PATH": str(folder),
        "TESSERACT_OUTPUT_FORMAT": "json+base64",
    }
    with running(arguments, folder, port, "/health", environment=told, python=python) as program:
        yield program


def calls(url: str, x: np.ndarray) -> dict[str, Call]:
    """A product by its SDK."""
    remote = Tesseract.from_url(url)
    seed = {"y": np.ones(1, np.float32)}

    def call() -> np.ndarray:
        found = remote.vector_jacobian_product(
            inputs={"x": x}, vjp_inputs=["x"], vjp_outputs=["y"], cotangent_vector=seed
        )
        return np.asarray(found["x"])

    return {"Tesseract SDK, base64": call}
