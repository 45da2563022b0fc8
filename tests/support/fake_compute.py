"""A Compute without nets: it describes JSON in place of ONNX and answers with what it was sent.

The gradient of each input port is its data, bit for bit, and the output port gives the first
input. So a test of routes and formats needs no net, and sees every bit that was lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from portgrad.codecs.model import Answer, Description, Kind, Known, Place
from portgrad.compute import reading
from portgrad.compute.jobs import Export, Inspection, Job, Ready, Unread
from portgrad.compute.stats import PoolStats, WorkerStats
from portgrad.errors import InvalidNet

WEIGHT = {"name": "layer1.weight", "dtype": "float32", "shape": [2], "buffer": False}


def fake_net(
    *inputs: str, dtype: str = "float32", outputs: tuple[str, ...] = ("output",), note: str = ""
) -> bytes:
    """The bytes of a net that FakeCompute accepts; `note` makes others of the same ports."""

    def ports(names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [
            {"name": name, "dtype": dtype, "shape": ["batch"], "differentiable": True}
            for name in names
        ]

    return json.dumps(
        {
            "inputs": ports(inputs or ("input",)),
            "outputs": ports(outputs),
            "parameters": [WEIGHT],
            "opset": 21,
            "warnings": [note] if note else [],
        }
    ).encode()


class FakeCompute:
    """Echoes. `jobs` and `exports` keep what came; `error` is what the next calls raise, if any."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.exports: list[Export] = []
        self.forgotten: list[str] = []
        self.inspected = 0
        self.started = self.closed = False
        self.in_quarantine: set[str] = set()
        self.error: Exception | None = None
        self.outputs: Mapping[str, Any] | None = None
        self.pool = PoolStats((WorkerStats("worker-1", 1, "idle"),), wanted=1)
        self._described: Description = {}
        self._dtypes: dict[str, str] = {}
        self.unread = self.ready = 0

    async def operators(self) -> list[Description]:
        return [{"name": "Relu", "versions": [14], "gradient": "rule", "note": "0 at 0"}]

    async def inspect(self, job: Inspection) -> Description:
        self.inspected += 1
        source = job.files.model
        model = source if isinstance(source, bytes) else source.read_bytes()
        try:
            description: Description = json.loads(model)
        except ValueError as error:
            raise InvalidNet("The bytes are no ONNX model.", remedy="Upload a net.") from error
        self._described = description
        self._dtypes = {port["name"]: port["dtype"] for port in description["inputs"]}
        return description

    async def call(self, job: Job | Unread) -> Answer | Ready:
        """As a worker does: what is unread is read here, and what is large is written here."""
        self.unread += isinstance(job, Unread)
        read = reading.read(job, Known.of(self._described)) if isinstance(job, Unread) else job
        answer = self._answer(read)
        body = reading.write(read, answer)
        if body is not None:
            self.ready += 1
            decoded = {"decode": 0.0} if isinstance(job, Unread) else {}
            timings = {**decoded, **answer.timings, "encode": 0.0}
            return Ready(memoryview(b"".join(body)), timings)
        return replace(answer, encoding=read.answer_in.encoding) if read.answer_in else answer

    def _answer(self, job: Job) -> Answer:
        data = self._arrays(job)
        asked = job.options.get("outputs", job.kind == "evaluate")
        return Answer(
            outputs=self._outputs(data) if asked else {},
            derivatives=self._derivatives(job, data),
            about=_about(job, data),
            timings={"queue": 0.001, "compile": 0.0, "run": 0.002},
        )

    async def export(self, job: Export, path: Path) -> list[Path]:
        self.exports.append(job)
        if self.error is not None:
            raise self.error
        path.write_bytes(b"graph")
        if job.external is None:
            return [path]
        path.with_name(job.external).write_bytes(b"weights")
        return [path, path.with_name(job.external)]

    def _derivatives(self, job: Job, data: Mapping[str, Any]) -> dict[Place, Any]:
        if job.kind in {"jvp", "hvp"}:
            return {(name,): self._array(name, value) for name, value in job.tangents.items()}
        if job.kind in {"jacobian", "hessian"}:
            rows = ["output"] if job.kind == "jacobian" else data
            return {(row, name): array for row in rows for name, array in data.items()}
        return {(name,): array for name, array in data.items()} if job.kind == "gradient" else {}

    async def start(self) -> None:
        self.started = True

    def quarantined(self) -> list[Description]:
        return [
            {"net": net, "owner": "local", "crashes": 3, "seconds": 60.0}
            for net in sorted(self.in_quarantine)
        ]

    def release(self, net_id: str) -> bool:
        was = net_id in self.in_quarantine
        self.in_quarantine.discard(net_id)
        return was

    async def forget(self, net_id: str) -> None:
        self.forgotten.append(net_id)

    def stats(self) -> PoolStats:
        return self.pool

    async def close(self) -> None:
        self.closed = True

    def _outputs(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.outputs or {"output": next(iter(data.values()), np.zeros(0))}

    def _arrays(self, job: Job) -> dict[str, np.ndarray[Any, Any]]:
        self.jobs.append(job)
        if self.error is not None:
            raise self.error
        bare = not isinstance(job.data, Mapping)
        data = {next(iter(self._dtypes)): job.data} if bare else dict(job.data)
        return {name: self._array(name, value) for name, value in data.items()}

    def _array(self, name: str, value: Any) -> np.ndarray[Any, Any]:
        if isinstance(value, np.ndarray):
            return value
        named = self._dtypes[name]
        if named in {"str", "string"}:
            return np.array(value, dtype=object)
        dtype = np.dtype(getattr(ml_dtypes, named, named))
        # Text such as "Infinity" becomes a number through Python's own reading of it.
        return np.array(value).astype(np.float64 if dtype.kind in "fV" else dtype).astype(dtype)


def _about(job: Job, data: Mapping[str, Any]) -> dict[str, Any]:
    """What answers of each kind tell, as WorkerCompute tells it."""
    targets = {"targets": list(data)}
    none = {"none": [{"name": "ids", "reason": "It is an integer."}]}
    warnings = {"warnings": ["Mind the trees."]}
    kinds: dict[Kind, dict[str, Any]] = {
        "evaluate": {"warnings": []},
        "gradient": targets | none | warnings,
        "jvp": warnings,
        "hvp": targets | none | warnings,
        "jacobian": targets | {"per_example": False, "direction": "reverse"} | none | warnings,
        "hessian": targets | {"per_example": False} | none | warnings,
        "gradcheck": {"ok": True},
    }
    seed = {name: job.options[name] for name in ("random_seed",) if name in job.options}
    diagnostics = {"diagnostics": {"first": None}} if job.options.get("diagnostics") else {}
    return kinds[job.kind] | seed | diagnostics


class Boom(Exception):
    """An error that nobody foresaw."""
