"""What is asked of a worker and what it answers, as plain data and back.

Asked:     {"do": "call" | "inspect" | "export" | "operators" | "forget", …}
Answered:  {"done": …} or {"fault": …}, and {"kept": …}: what the worker keeps.

What is answered comes from a process that runs strangers' nets: it is held to its form here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import numpy as np

from portgrad.codecs.model import Answer, Description
from portgrad.compute.jobs import Export, Inspection, Job
from portgrad.graph.files import NetFiles

Plain = dict[str, Any]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class Kept(msgspec.Struct):
    """What a worker keeps, and how often a compiled graph was at hand since it started."""

    nets: _Count
    sessions: _Count
    session_hits: _Count
    session_misses: _Count


class Told(msgspec.Struct):
    """What a worker answered; at its start, what its confinement lacks."""

    kept: Kept
    done: Any = None
    fault: Any = None
    lacking: tuple[str, ...] = ()


class _Answer(msgspec.Struct):
    outputs: dict[str, Any]  # arrays, sequences of them, or None for an optional without one
    derivatives: list[tuple[tuple[str, ...], np.ndarray[Any, Any]]]
    about: dict[str, Any]
    timings: dict[str, _Seconds]


class _Port(msgspec.Struct):
    name: str
    dtype: str
    shape: list[_Count | str | None] | None
    differentiable: bool


class _Description(msgspec.Struct):
    inputs: list[_Port]
    outputs: list[_Port]
    parameters: list[_Port]
    opset: int
    warnings: list[str]


def call(job: Job) -> Plain:
    """A call, as plain data and arrays."""
    return {
        "do": "call",
        "kind": job.kind,
        **_net(job),
        "data": job.data,
        "output_gradients": job.output_gradients,
        "parameters": job.parameters,
        "tangents": job.tangents,
        "options": job.options,
    }


def inspection(job: Inspection) -> Plain:
    """A net to be looked at."""
    return {"do": "inspect", **_net(job)}


def export(job: Export) -> Plain:
    """A gradient to be written, into files that travel beside the message."""
    return {"do": "export", **_net(job), "options": job.options, "external": job.external}


def job_of(plain: Mapping[str, Any]) -> Job:
    """The call that came."""
    return Job(
        plain["kind"],
        plain["net_id"],
        files_of(plain),
        plain["data"],
        plain["output_gradients"],
        plain["parameters"],
        plain["tangents"],
        plain["options"],
    )


def files_of(plain: Mapping[str, Any]) -> NetFiles:
    """The files of the net that a message is about."""
    external = {location: Path(path) for location, path in plain["external_files"].items()}
    return NetFiles(Path(plain["model"]), external, known=plain["net_id"])


def answered(answer: Answer) -> Plain:
    """An answer, as plain data and arrays."""
    return {
        "outputs": dict(answer.outputs),
        "derivatives": [[list(place), array] for place, array in answer.derivatives.items()],
        "about": dict(answer.about),
        "timings": dict(answer.timings),
    }


def told(message: Any) -> Told:
    """What a worker told.

    Raises:
        ValueError: this is nothing that it may tell.
    """
    return msgspec.convert(message, Told)


def answer_of(done: Any) -> Answer:
    """The answer that came.

    Raises:
        ValueError: it is none.
    """
    plain = msgspec.convert(done, _Answer)
    for value in plain.outputs.values():
        for one in value if isinstance(value, list) else [value]:
            if one is not None and not isinstance(one, np.ndarray):
                raise ValueError(f"an output is {type(one).__name__}")
    return Answer(plain.outputs, dict(plain.derivatives), plain.about, plain.timings)


def description_of(done: Any) -> Description:
    """The description that came.

    Raises:
        ValueError: it is none.
    """
    msgspec.convert(done, _Description)
    return {field: done[field] for field in _Description.__struct_fields__}


def operators_of(done: Any) -> list[Description]:
    """The list of operators that came.

    Raises:
        ValueError: it is none.
    """
    return msgspec.convert(done, list[dict[str, Any]])


def written_of(done: Any) -> bool:
    """Whether weights were written to the second file of an export.

    Raises:
        ValueError: this does not say.
    """
    return msgspec.convert(done, bool)


def _net(job: Job | Inspection | Export) -> Plain:
    # Bytes of a net do not travel: both sides see the store's files.
    paths = cast("dict[str, Path]", dict(job.files.external))
    return {
        "net_id": job.net_id,
        "model": str(cast("Path", job.files.model)),
        "external_files": {location: str(path) for location, path in paths.items()},
    }
