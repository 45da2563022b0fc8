"""Jobs as calls of a net's methods, and what these find as answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from portgrad.compute.jobs import Answer, Job, Kind, Place
from portgrad.engine import Net
from portgrad.engine.arrays import Array


def _evaluate(net: Net, job: Job) -> Answer:
    found = net.evaluate(job.data, **job.options)
    return Answer(found.outputs, about={"warnings": []}, timings=found.timings)


def _gradient(net: Net, job: Job) -> Answer:
    found = net.gradient(job.data, output_gradients=job.output_gradients, **job.options)
    about = {
        "targets": list(found.targets),
        "none": [{"name": name, "reason": reason} for name, reason in found.none.items()],
        "warnings": list(found.warnings),
    }
    return Answer(found.outputs, _placed(found), about, found.timings)


def _placed(found: Mapping[str, Array]) -> dict[Place, Array]:
    return {(name,): array for name, array in found.items()}


CALLS: Mapping[Kind, Callable[[Net, Job], Answer]] = {
    "evaluate": _evaluate,
    "gradient": _gradient,
}
