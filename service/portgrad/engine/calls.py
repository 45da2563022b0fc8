"""What a net is asked for: names resolved, arrays made ready, a plan run, and its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from portgrad.autodiff import EXACT, STRAIGHT_THROUGH, Quantized
from portgrad.engine import blocks, requests
from portgrad.engine.diagnostics import diagnose
from portgrad.engine.execution import Arrays, Execution, Values
from portgrad.engine.plan import Plan
from portgrad.engine.reductions import MEAN, PER_EXAMPLE, REDUCTIONS, check_size, means
from portgrad.engine.requests import Data
from portgrad.engine.results import Gradients, Hessian, Jacobian, Outputs, Products, Tangents
from portgrad.engine.seeds import height
from portgrad.engine.variants import Setting
from portgrad.engine.words import word
from portgrad.errors import InvalidRequest
from portgrad.graph.targets import Targets, resolve_of, resolve_outputs, resolve_targets


def evaluate(setting: Setting, data: Data, outputs: Any) -> Outputs:
    """The forward pass; see `Net.evaluate`."""
    wanted = resolve_outputs(setting.view.names, outputs)
    if not wanted:
        raise _nothing_asked()
    plan = Plan(outputs=tuple(wanted))
    done = setting.view.executor.execute(plan, requests.arrays(setting, data), {}, setting.batch)
    return Outputs(done.results.outputs, done.timings, setting.random_seed, done.warnings)


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
    names, executor = setting.view.names, setting.view.executor
    targets = resolve_targets(names, wrt)
    given = requests.seeds(setting, output_gradients)
    reduced = word("reduction", reduction, REDUCTIONS)
    plan = Plan(
        wrt=tuple(targets.values),
        of=tuple(resolve_of(names, of, given)),
        seeds=tuple(given),
        outputs=tuple(resolve_outputs(names, outputs)),
        quantized=quantised(quantized),
        stacked=stacked,
        apart=reduced == PER_EXAMPLE,
    )
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
    told["outputs"] = {name: told["outputs"][name] for name in wanted}
    ill = diagnose(executor, done, found) if diagnostics else None
    return Gradients(found, **told, diagnostics=ill)


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
        quantized=quantised(quantized),
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
        quantized=quantised(quantized),
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
    plan = Plan(outputs=tuple(resolve_outputs(names, outputs)), quantized=quantised(quantized))
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
        quantized=quantised(quantized),
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


def quantised(given: str | None) -> Quantized:
    """What becomes of gradients where numbers are quantised."""
    return (
        STRAIGHT_THROUGH if word("quantized", given, (EXACT, STRAIGHT_THROUGH)) != EXACT else EXACT
    )


def _told(setting: Setting, targets: Targets, done: Execution) -> dict[str, Any]:
    """What an answer by target says beside its arrays."""
    return {
        "targets": targets.asked,
        "outputs": done.results.outputs,
        "none": targets.none,
        "warnings": done.warnings,
        "timings": done.timings,
        "random_seed": setting.random_seed,
    }


def _of(setting: Setting, targets: Targets, frame: blocks.Frame) -> dict[str, Any]:
    """The same of blocks, from their first run and the times of all."""
    return {**_told(setting, targets, frame.first), "timings": frame.timings}


def _nothing_asked() -> InvalidRequest:
    return InvalidRequest(
        "The call asks for no output.",
        code="invalid_field",
        where="outputs",
        expected="true, or a list of at least one output port or inner value",
        remedy="Leave `outputs` out for all output ports.",
    )
