"""What a net is asked for: names resolved, arrays made ready, a plan run, and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from portgrad.engine import blocks, meanings, repeats, requests, together
from portgrad.engine.diagnostics import diagnose
from portgrad.engine.execution import Arrays, Execution, Values
from portgrad.engine.plan import Plan
from portgrad.engine.reductions import MEAN, PER_EXAMPLE, REDUCTIONS, check_size, means
from portgrad.engine.requests import Data
from portgrad.engine.results import Gradients, Hessian, Jacobian, Outputs, Products, Tangents
from portgrad.engine.seeds import height
from portgrad.engine.variants import Setting
from portgrad.engine.words import word
from portgrad.errors import PortgradError
from portgrad.graph.targets import Targets, resolve_of, resolve_outputs, resolve_targets


def evaluate(setting: Setting, data: Data, outputs: Any) -> Outputs:
    """The forward pass; see `Net.evaluate`."""
    plan = meanings.evaluation(setting, outputs)
    done = setting.view.executor.execute(plan, requests.arrays(setting, data), {}, setting.batch)
    return _outputs(setting, done)


def evaluate_together(
    setting: Setting, data: Sequence[Data], outputs: Any
) -> list[Outputs | None] | None:
    """The forward passes of several calls as one; see `Net.evaluate_together`."""
    plan = meanings.evaluation(setting, outputs)
    calls = [_begun(setting, plan, one, {}) for one in data]
    if not together.run(setting.view.executor, plan, filter(None, calls)):
        return None
    return [_outputs(setting, call) if call and call.done else None for call in calls]


def _outputs(setting: Setting, done: Execution) -> Outputs:
    return Outputs(done.results.outputs, done.timings, setting.random_seed, done.warnings)


def _begun(setting: Setting, plan: Plan, data: Data, given: Mapping[str, Any]) -> Execution | None:
    """A call that is to be run with others; None where it is refused."""
    executor = setting.view.executor
    try:
        arrays = requests.arrays(setting, data)
        imposed = requests.imposed(setting, plan, arrays, given)
        return Execution(plan, arrays, imposed, executor.reading(plan, arrays, setting.batch))
    except PortgradError:
        return None


def gradient(
    setting: Setting,
    data: Data,
    limit: int,
    *,
    wrt: Any,
    of: Any,
    output_gradients: Any,
    outputs: Any,
    quantized: str | None,
    stacked: bool,
    reduction: str | None,
    diagnostics: bool = False,
) -> Gradients:
    """Gradients of a sum of outputs; see `Net.gradient`."""
    words = (wrt, of, outputs, quantized, stacked, reduction)
    if diagnostics is False:
        again = repeats.gradient(setting, words, output_gradients, data)
        if again is not None:
            return again
    executor = setting.view.executor
    meant, given = meanings.gradient(setting, words, output_gradients)
    targets, plan, reduced = meant
    wanted = plan.outputs
    if diagnostics:
        plan = replace(plan, outputs=tuple(dict.fromkeys([*wanted, *plan.of])))
    arrays = requests.arrays(setting, data)
    imposed = requests.imposed(setting, plan, arrays, given)
    _check_size(setting, plan, arrays, imposed, limit)
    done = executor.execute(plan, arrays, imposed, setting.batch)
    found = done.results.derivatives
    if reduced == MEAN:
        found = means(executor, plan, arrays, setting.batch, found)
    told = _told(setting, targets, done)
    if diagnostics:
        told["outputs"] = {name: told["outputs"][name] for name in wanted}
        told["diagnostics"] = diagnose(executor, done, found)
    repeats.prepare(setting, words, output_gradients, meant)
    return Gradients(found, **told)


def gradient_together(
    setting: Setting,
    calls: Sequence[tuple[Data, Any]],
    *,
    wrt: Any,
    of: Any,
    outputs: Any,
    quantized: str | None,
    reduction: str | None,
) -> list[Gradients | None] | None:
    """The gradients of several calls as one run; see `Net.gradient_together`."""
    targets = resolve_targets(setting.view.names, wrt)
    reduced = word("reduction", reduction, REDUCTIONS)
    if reduced == MEAN:
        return None
    given = [_given(setting, imposed) for _, imposed in calls]
    first = next((seeds for seeds in given if seeds is not None), {})
    plan = meanings.plan(setting, targets, first, of=of, outputs=outputs, quantized=quantized)
    plan = replace(plan, apart=reduced == PER_EXAMPLE)
    begun = [
        None if seeds is None or tuple(seeds) != plan.seeds else _begun(setting, plan, data, seeds)
        for (data, _), seeds in zip(calls, given, strict=True)
    ]
    if not together.run(setting.view.executor, plan, filter(None, begun)):
        return None
    return [
        Gradients(call.results.derivatives, **_told(setting, targets, call))
        if call and call.done
        else None
        for call in begun
    ]


def _given(setting: Setting, imposed: Any) -> dict[str, Any] | None:
    """What a call imposes; None where it is refused."""
    try:
        return requests.seeds(setting, imposed)
    except PortgradError:
        return None


def _check_size(setting: Setting, plan: Plan, data: Values, imposed: Arrays, limit: int) -> None:
    """Refuse derivatives that are too large before they are computed."""
    if not plan.stacked and not plan.apart:
        return
    executor = setting.view.executor
    reading = executor.reading(plan, data, setting.batch)
    known = {
        name: requests.shape(setting, data, name) or executor.foreseen(name, reading)[0]
        for name in plan.results
    }
    shapes: dict[str, Any] = {
        name: shape for name, shape in known.items() if shape is not None and None not in shape
    }
    stacks = {feed: array for feed, array in imposed.items() if plan.stacks(feed)}
    check_size(
        executor,
        plan,
        reading,
        shapes=shapes,
        height=height(stacks) if plan.stacked else 1,
        limit=limit,
    )


def jvp(
    setting: Setting,
    data: Data,
    limit: int,
    *,
    tangents: Any,
    of: Any,
    outputs: Any,
    quantized: str | None,
    stacked: bool,
) -> Tangents:
    """A Jacobian-vector product; see `Net.jvp`."""
    names = setting.view.names
    directions = requests.tangents(setting, tangents)
    plan = Plan(
        kind="jvp",
        of=tuple(resolve_of(names, of)),
        tangents=tuple(directions),
        outputs=tuple(resolve_outputs(names, outputs)),
        quantized=meanings.quantised(quantized),
        stacked=stacked,
    )
    arrays = requests.arrays(setting, data)
    imposed = requests.imposed(setting, plan, arrays, {}, directions)
    _check_size(setting, plan, arrays, imposed, limit)
    done = setting.view.executor.execute(plan, arrays, imposed, setting.batch)
    results = done.results
    return Tangents(
        results.derivatives, results.outputs, done.warnings, done.timings, setting.random_seed
    )


def hvp(
    setting: Setting,
    data: Data,
    limit: int,
    *,
    tangents: Any,
    wrt: Any,
    of: Any,
    output_gradients: Any,
    outputs: Any,
    quantized: str | None,
    stacked: bool,
) -> Products:
    """A Hessian-vector product; see `Net.hvp`."""
    names = setting.view.names
    directions = requests.tangents(setting, tangents)
    targets = resolve_targets(names, list(directions) if wrt is None else wrt)
    given = requests.seeds(setting, output_gradients)
    plan = Plan(
        kind="hvp",
        wrt=tuple(targets.values),
        of=tuple(resolve_of(names, of, given)),
        seeds=tuple(given),
        tangents=tuple(directions),
        outputs=tuple(resolve_outputs(names, outputs)),
        quantized=meanings.quantised(quantized),
        stacked=stacked,
    )
    arrays = requests.arrays(setting, data)
    imposed = requests.imposed(setting, plan, arrays, given, directions)
    _check_size(setting, plan, arrays, imposed, limit)
    done = setting.view.executor.execute(plan, arrays, imposed, setting.batch)
    return Products(done.results.derivatives, **_told(setting, targets, done))


def jacobian(
    setting: Setting,
    data: Data,
    limit: int,
    *,
    wrt: Any,
    of: Any,
    outputs: Any,
    quantized: str | None,
    direction: str | None,
) -> Jacobian:
    """Every output differentiated by every target; see `Net.jacobian`."""
    names = setting.view.names
    if direction is not None:
        words = (blocks.FORWARD, blocks.REVERSE)
        word("direction", direction, words, "the one that takes fewer products")
    targets, of_values = resolve_targets(names, wrt), tuple(resolve_of(names, of))
    plan = Plan(
        outputs=tuple(resolve_outputs(names, outputs)), quantized=meanings.quantised(quantized)
    )
    arrays = requests.arrays(setting, data)
    frame = blocks.Frame(
        setting.view.executor,
        arrays,
        setting.batch,
        of_values,
        targets.values,
        imposed={},
        limit=limit,
    )
    spaces = [frame.space(name) for name in targets.values]
    found, way = blocks.jacobian(
        frame, plan, [frame.space(n) for n in of_values], spaces, direction
    )
    return Jacobian(found, per_example=frame.apart, direction=way, **_of(setting, targets, frame))


def hessian(
    setting: Setting,
    data: Data,
    limit: int,
    *,
    wrt: Any,
    of: Any,
    output_gradients: Any,
    outputs: Any,
    quantized: str | None,
) -> Hessian:
    """Every target's gradient differentiated by every target; see `Net.hessian`."""
    names = setting.view.names
    targets = resolve_targets(names, wrt)
    given = requests.seeds(setting, output_gradients)
    plan = Plan(
        of=tuple(resolve_of(names, of, given)),
        seeds=tuple(given),
        outputs=tuple(resolve_outputs(names, outputs)),
        quantized=meanings.quantised(quantized),
    )
    arrays = requests.arrays(setting, data)
    imposed = requests.imposed(setting, plan, arrays, given)
    frame = blocks.Frame(
        setting.view.executor,
        arrays,
        setting.batch,
        plan.of,
        targets.values,
        imposed=imposed,
        limit=limit,
    )
    found = blocks.hessian(frame, plan, [frame.space(name) for name in targets.values])
    return Hessian(found, per_example=frame.apart, **_of(setting, targets, frame))


def _told(setting: Setting, targets: Targets, done: Execution) -> dict[str, Any]:
    """What an answer by target says beside its arrays."""
    return {
        "targets": targets.asked,
        "outputs": done.results.outputs,
        "none": dict(targets.none),
        "warnings": done.warnings,
        "timings": done.timings,
        "random_seed": setting.random_seed,
    }


def _of(setting: Setting, targets: Targets, frame: blocks.Frame) -> dict[str, Any]:
    """The same of blocks, from their first run and the times of all."""
    return {**_told(setting, targets, frame.first), "timings": frame.timings}
