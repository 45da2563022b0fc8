"""Jobs as calls of a net's methods, and what these find as answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from portgrad.codecs.model import Answer, Kind, Place
from portgrad.compute.jobs import Job
from portgrad.engine import Net
from portgrad.engine.arrays import Array
from portgrad.engine.results import Gradients, Jacobian, Outputs, Tangents

# What is not said to calls that go together: they say no to it.
_ALONE = frozenset({"stacked", "diagnostics"})

Found = Outputs | Tangents | Gradients | Jacobian


def together(net: Net, jobs: Sequence[Job]) -> list[Answer | None] | None:
    """What calls find that ask the same, from one run; None for those that are to run alone.

    None for all where such calls cannot be run as one.
    """
    first, data = jobs[0], [job.data for job in jobs]
    if first.kind == "evaluate":
        outputs = net.evaluate_together(data, **first.options)
        if outputs is None:
            return None
        return [None if one is None else _evaluated(one) for one in outputs]
    imposed = [job.output_gradients for job in jobs]
    options = {name: value for name, value in first.options.items() if name not in _ALONE}
    found = net.gradient_together(data, output_gradients=imposed, **options)
    if found is None:
        return None
    return [None if one is None else _differentiated(one) for one in found]


def _evaluate(net: Net, job: Job) -> Answer:
    return _evaluated(net.evaluate(job.data, parameters=job.parameters, **job.options))


def _evaluated(found: Outputs) -> Answer:
    about = {"warnings": list(found.warnings), **_seed(found)}
    return Answer(found.outputs, {}, about, found.timings)


def _gradient(net: Net, job: Job) -> Answer:
    found = net.gradient(
        job.data,
        output_gradients=job.output_gradients,
        parameters=job.parameters,
        **job.options,
    )
    return _differentiated(found)


def _differentiated(found: Gradients) -> Answer:
    ill = {} if found.diagnostics is None else {"diagnostics": dict(found.diagnostics)}
    return Answer(found.outputs, _placed(found), _targeted(found) | ill, found.timings)


def _jvp(net: Net, job: Job) -> Answer:
    found = net.jvp(job.data, tangents=job.tangents, parameters=job.parameters, **job.options)
    about = {"warnings": list(found.warnings), **_seed(found)}
    return Answer(found.outputs, _placed(found), about, found.timings)


def _hvp(net: Net, job: Job) -> Answer:
    found = net.hvp(
        job.data,
        tangents=job.tangents,
        output_gradients=job.output_gradients,
        parameters=job.parameters,
        **job.options,
    )
    return Answer(found.outputs, _placed(found), _targeted(found), found.timings)


def _jacobian(net: Net, job: Job) -> Answer:
    found = net.jacobian(job.data, parameters=job.parameters, **job.options)
    return Answer(found.outputs, _blocks(found), _targeted(found), found.timings)


def _hessian(net: Net, job: Job) -> Answer:
    found = net.hessian(
        job.data,
        output_gradients=job.output_gradients,
        parameters=job.parameters,
        **job.options,
    )
    return Answer(found.outputs, _blocks(found), _targeted(found), found.timings)


def _gradcheck(net: Net, job: Job) -> Answer:
    report = net.gradcheck(
        job.data,
        output_gradients=job.output_gradients,
        parameters=job.parameters,
        **job.options,
    )
    return Answer(about=report.plain(), timings=report.timings)


def _placed(found: Mapping[str, Array]) -> dict[Place, Array]:
    return {(name,): array for name, array in found.items()}


def _blocks(found: Mapping[str, Mapping[str, Array]]) -> dict[Place, Array]:
    return {(of, wrt): array for of, row in found.items() for wrt, array in row.items()}


def _seed(found: Found) -> dict[str, Any]:
    """The seed of what was drawn, where something was."""
    return {} if found.random_seed is None else {"random_seed": found.random_seed}


def _targeted(found: Gradients | Jacobian) -> dict[str, Any]:
    """What answers with respect to targets tell."""
    return {
        "targets": list(found.targets),
        **(_of_blocks(found) if isinstance(found, Jacobian) else {}),
        "none": [{"name": name, "reason": reason} for name, reason in found.none.items()],
        "warnings": list(found.warnings),
        **_seed(found),
    }


def _of_blocks(found: Jacobian) -> dict[str, Any]:
    direction = {} if found.direction is None else {"direction": found.direction}
    return {"per_example": found.per_example, **direction}


CALLS: Mapping[Kind, Callable[[Net, Job], Answer]] = {
    "evaluate": _evaluate,
    "gradient": _gradient,
    "jvp": _jvp,
    "hvp": _hvp,
    "jacobian": _jacobian,
    "hessian": _hessian,
    "gradcheck": _gradcheck,
}
