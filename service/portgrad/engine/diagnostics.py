"""What is the matter with gradients: zeros, NaNs and infinities, and where they began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from portgrad.autodiff.steps import Place
from portgrad.engine import inseparable
from portgrad.engine.arrays import Array
from portgrad.engine.batches import AS_IS, EACH, EXAMPLE
from portgrad.engine.execution import Execution
from portgrad.engine.executor import Executor
from portgrad.engine.tracing import First, Tracer, flags

_KINDS = ("zero", "nan", "infinite")


def diagnose(executor: Executor, call: Execution, gradients: Mapping[str, Array]) -> dict[str, Any]:
    """What there is to say of the gradients of a call, as plain data.

    The net is looked into, by plans of their own, only where a gradient or what is summed is not
    finite, or a gradient is all zero.

    Args:
        executor: what ran the call.
        call: the call, whose outputs have what is summed.
        gradients: its gradients as the caller sees them.

    Raises:
        NotBuilt: the examples of a batch drew together, and would be looked at one by one.
    """
    each = call.reading.kind == EACH and call.reading.count > 1
    if each and executor.draws and not executor.draws_by_example(call.reading.batched):
        raise inseparable.drawn_together()
    targets = {name: _of_target(executor, call, name, array) for name, array in gradients.items()}
    summed = [flags(call.results.outputs[name]) for name in call.plan.of]
    ill = any(one["nan"] or one["infinite"] for one in targets.values())
    ill = ill or any(one.nan or one.infinite for one in summed)
    zeros = [name for name, one in targets.items() if one["zero"] and gradients[name].size]
    forward, backward = First(), First()
    if ill or zeros:
        tracer = Tracer(executor, call)
        found = tracer.backward()
        for name in zeros:
            targets[name]["vanished"] = _plain(tracer.vanished(name, found))
        if ill:
            forward, backward = tracer.forward(), tracer.author(found)
    return {"targets": targets, "forward": asdict(forward), "backward": asdict(backward)}


def _of_target(executor: Executor, call: Execution, name: str, array: Array) -> dict[str, Any]:
    whole = flags(array)
    found: dict[str, Any] = {**asdict(whole)}
    axis = _example_axis(executor, call, name)
    if call.plan.stacked:
        found["stack"] = _along(array, 0)
    if axis is not None:
        found["examples"] = _along(array, axis)
    return found


def _along(array: Array, axis: int) -> dict[str, list[int]]:
    """The entries of an axis that have each flag."""
    entries = [flags(entry) for entry in np.moveaxis(array, axis, 0)]
    return {kind: [i for i, one in enumerate(entries) if getattr(one, kind)] for kind in _KINDS}


def _example_axis(executor: Executor, call: Execution, name: str) -> int | None:
    """The axis of a gradient along which examples lie, None where they all have a part in it."""
    reading, lead = call.reading, int(call.plan.stacked)
    if reading.kind == AS_IS and not reading.batched:
        reading = executor.examples(reading, call.plan.of, call.data) or reading
    if not reading.batched or reading.kind == EXAMPLE:
        return None
    if executor.shared(name, reading):
        return lead if call.plan.keeps_apart else None
    axis = executor.axis(name, reading)
    return None if axis is None else lead + axis


def _plain(place: Place | None) -> dict[str, Any] | None:
    return None if place is None else asdict(place)
