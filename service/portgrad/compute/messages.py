"""What is asked of a worker and what it answers, as plain data and back.

Asked:     {"do": "call" | "group" | "read" | "series" | "inspect" | "export" | …, …}
Answered:  {"done": …} or {"fault": …}, and {"kept": …}: what the worker keeps.

What is answered comes from a process that runs strangers' nets: it is held to its form here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import numpy as np

from portgrad.codecs.bounds import Bounds
from portgrad.codecs.model import Answer, Buffer, Description, Encoding, Format
from portgrad.compute import frames
from portgrad.compute.jobs import Export, Inspection, Job, Ready, Unread
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
    """What a worker answered, and whether it is worn; at its start, what its confinement lacks."""

    kept: Kept
    done: Any = None
    fault: Any = None
    worn: bool = False
    lacking: tuple[str, ...] = ()


class _Ready(msgspec.Struct):
    body: Any
    timings: dict[str, _Seconds]


class _Answer(msgspec.Struct):
    outputs: dict[str, Any]  # arrays, sequences of them, or None for an optional without one
    derivatives: list[tuple[tuple[str, ...], np.ndarray[Any, Any]]]
    about: dict[str, Any]
    timings: dict[str, _Seconds]
    encoding: Encoding = "lists"


class _Answers(msgspec.Struct):
    answers: list[Any]
    joined: bool


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
        "answer_in": job.answer_in,
    }


def unread(job: Unread) -> Plain:
    """A call that is still to be read, as plain data and the bytes of its body."""
    return {
        "do": "read",
        "kind": job.kind,
        **_net(job),
        "body": frames.Pieces([job.body]),
        "media_type": job.media_type,
        "query": job.query,
        "bounds": job.bounds[:-1],  # each but `hold`, which is no plain data
        "accept": job.accept,
    }


def group(calls: Sequence[Any]) -> Plain:
    """Calls that may be run as one, each as plain data or as the text that this became."""
    return {"do": "group", "calls": calls}


def series(calls: Sequence[Any]) -> Plain:
    """Calls that are done one after the other, likewise."""
    return {"do": "series", "calls": calls}


def inspection(job: Inspection) -> Plain:
    """A net to be looked at."""
    return {"do": "inspect", **_net(job), "batchable": job.batchable}


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
        answer_in=plain["answer_in"] and Format(*plain["answer_in"]),
    )


def unread_of(plain: Mapping[str, Any]) -> Unread:
    """The call that came, to be read."""
    return Unread(
        plain["kind"],
        plain["net_id"],
        files_of(plain),
        _bytes_of(plain["body"]),
        plain["media_type"],
        plain["query"],
        Bounds(*plain["bounds"]),
        plain["accept"],
    )


def files_of(plain: Mapping[str, Any]) -> NetFiles:
    """The files of the net that a message is about."""
    return _files(plain["net_id"], plain["model"], tuple(plain["external_files"].items()))


@lru_cache(256)  # a path takes as long to make as a tiny net to run
def _files(net_id: str, model: str, external: tuple[tuple[str, str], ...]) -> NetFiles:
    paths = {location: Path(path) for location, path in external}
    return NetFiles(Path(model), paths, known=net_id)


def answered(answer: Answer) -> Plain:
    """An answer, as plain data and arrays."""
    return {
        "outputs": dict(answer.outputs),
        "derivatives": [[list(place), array] for place, array in answer.derivatives.items()],
        "about": dict(answer.about),
        "timings": dict(answer.timings),
        "encoding": answer.encoding,
    }


def ready(body: list[Buffer], timings: Mapping[str, float]) -> Plain:
    """An answer that is written, in pieces."""
    return {"body": frames.Pieces(body), "timings": dict(timings)}


def told(message: Any) -> Told:
    """What a worker told.

    Raises:
        ValueError: this is nothing that it may tell.
    """
    return msgspec.convert(message, Told)


def answer_of(done: Any) -> Answer | Ready:
    """The answer that came.

    Raises:
        ValueError: it is none.
    """
    if isinstance(done, dict) and "body" in done:
        return _ready_of(done)
    plain = msgspec.convert(done, _Answer)
    for value in plain.outputs.values():
        for one in value if isinstance(value, list) else [value]:
            if one is not None and not isinstance(one, np.ndarray):
                raise ValueError(f"an output is {type(one).__name__}")
    derivatives = dict(plain.derivatives)
    return Answer(plain.outputs, derivatives, plain.about, plain.timings, plain.encoding)


def _ready_of(done: Any) -> Ready:
    written = msgspec.convert(done, _Ready)
    return Ready(_bytes_of(written.body), written.timings)


def _bytes_of(body: Any) -> Buffer:
    """What came of `frames.Pieces`.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(body, bytes):
        return body
    if not isinstance(body, np.ndarray) or body.dtype != np.uint8 or body.ndim != 1:
        raise ValueError("a body that is no bytes")
    return body.data


@dataclass(frozen=True)
class Answers:
    """What came of calls that went together.

    Attributes:
        answers: by call; None for one that is to be run alone.
        joined: whether such calls can be run as one at all.
    """

    answers: Sequence[Answer | Ready | None]
    joined: bool

    @property
    def first(self) -> Answer | Ready | None:
        """The first one that is, which tells what all of them took."""
        return next((one for one in self.answers if one is not None), None)


def answers_of(done: Any, count: int) -> Answers:
    """The answers of so many calls.

    Raises:
        ValueError: these are none.
    """
    plain = msgspec.convert(done, _Answers)
    if len(plain.answers) != count:
        raise ValueError(f"{len(plain.answers)} answers to {count} calls")
    answers = [None if one is None else answer_of(one) for one in plain.answers]
    return Answers(answers, plain.joined)


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


def _net(job: Job | Unread | Inspection | Export) -> Plain:
    # Bytes of a net do not travel: both sides see the store's files.
    paths = cast("dict[str, Path]", dict(job.files.external))
    return {
        "net_id": job.net_id,
        "model": str(cast("Path", job.files.model)),
        "external_files": {location: str(path) for location, path in paths.items()},
    }
