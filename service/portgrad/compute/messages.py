"""What is asked of a worker and what it answers, as plain data and back.

Asked:     {"do": "call" | "inspect" | "export" | "operators" | "forget", …}
Answered:  {"done": …} or {"fault": …}, and {"kept": …}: what the worker keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from portgrad.compute.jobs import Answer, Export, Inspection, Job
from portgrad.graph.files import NetFiles

Plain = dict[str, Any]


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
    return NetFiles(Path(plain["model"]), external)


def answered(answer: Answer) -> Plain:
    """An answer, as plain data and arrays."""
    return {
        "outputs": dict(answer.outputs),
        "derivatives": [[list(place), array] for place, array in answer.derivatives.items()],
        "about": dict(answer.about),
        "timings": dict(answer.timings),
    }


def answer_of(plain: Mapping[str, Any], **timings: float) -> Answer:
    """The answer that came, with some more timings.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    derivatives = {tuple(map(str, place)): array for place, array in plain["derivatives"]}
    told = {str(stage): float(seconds) for stage, seconds in plain["timings"].items()}
    return Answer(
        dict(plain["outputs"]),
        derivatives,
        dict(plain["about"]),
        {**timings, **told},
    )


def _net(job: Job | Inspection | Export) -> Plain:
    # Bytes of a net do not travel: both sides see the store's files.
    paths = cast("dict[str, Path]", dict(job.files.external))
    return {
        "net_id": job.net_id,
        "model": str(cast("Path", job.files.model)),
        "external_files": {location: str(path) for location, path in paths.items()},
    }
