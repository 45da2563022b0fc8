"""How a plan runs in each reading of its arrays: as they are, as one example, over examples.

What is imposed is made ready for the graph on the way in, and what comes out is made what callers
see on the way out, in a stack one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from portgrad.autodiff import TANGENT
from portgrad.engine import empties, inseparable, seeds
from portgrad.engine.arrays import Array, shapes_of
from portgrad.engine.batches import AS_IS, EACH, EXAMPLE
from portgrad.engine.examples import Layout
from portgrad.engine.execution import Arrays, Execution, Values
from portgrad.engine.one_example import is_one
from portgrad.engine.plan import Compiled, Plan, Results, entrywise
from portgrad.graph.batching import Axes, examples, together

if TYPE_CHECKING:
    from portgrad.engine.executor import Executor

# What a graph is fed: the data, and what is imposed.
Feeds = tuple[Values, Arrays]
# Makes an imposed array ready, given its feed and a check against a shape.
Check = Callable[..., Array]
Prepare = Callable[[str, Array, Check], Array]


def as_is(executor: Executor, call: Execution) -> None:
    """The net as it is; where examples are to be kept apart, over those it is proven for."""
    over = call.reading.batched if call.plan.apart else frozenset()
    ready = as_they_are(executor, call)
    symbol = empties.empty_symbol(executor.ports, call.reading)
    read = (*call.plan.of, *call.plan.outputs)
    if symbol and empties.in_all(symbol, map(executor.dims, read)):
        _of_none(executor, call, ready, symbol)
    elif not over:
        _as_is(executor, call, ready)
    elif call.timed("compile", lambda: executor.variant(call.plan, over)) is None:
        raise inseparable.examples_may_meet()
    elif (compiled := executor.compile_apart(call, over)) is not None:
        call.results = executor.run(call, compiled, call.data, ready)
    else:
        one_by_one(executor, call)


def _as_is(executor: Executor, call: Execution, ready: Arrays) -> None:
    """One run. Calls of these shapes are run at once from then on, if it takes nothing else."""
    compiled = executor.compile(call)
    call.results = executor.run(call, compiled, call.data, ready)
    shapes = shapes_of({**call.data, **ready})
    same = all(ready[feed] is array for feed, array in call.imposed.items())
    if shapes is not None and same and not call.plan.apart and not call.reading.batched:
        compiled.as_is.keep(shapes, call.reading)


def as_they_are(executor: Executor, call: Execution) -> dict[str, Array]:
    """What is imposed on the net as it is."""
    shapes = executor.shapes(call, map(seeds.value_of, call.imposed))
    return _ready(
        call, call.imposed, lambda feed, array, check: check(array, shapes[seeds.value_of(feed)])
    )


def _of_none(executor: Executor, call: Execution, ready: dict[str, Array], symbol: str) -> None:
    """One example of zeros, cut to none: see `empties`."""
    led = {name for name, dims in executor.ports.items() if symbol in (dims or ())}
    data = empties.one_of_zeros(call.data, led)
    zeros = {feed: empties.as_one(array) for feed, array in ready.items()}

    stacks = int(call.plan.stacked)

    def cut(name: str, array: Array) -> Array:
        return empties.cut(array, executor.dims(name), symbol)

    def of_none(name: str, array: Array) -> Array:
        if call.plan.kind == "jvp":
            return array
        apart = call.plan.keeps_apart and executor.shared(name, call.reading)
        lead, rest = array.shape[:stacks], array.shape[stacks:]
        return np.zeros((*lead, *((0,) if apart else ()), *rest), array.dtype)

    found = executor.run(call, _single(executor, call), data, zeros)
    found = found.mapped(cut, stacked=call.plan.stacked)
    totals = {name: of_none(name, array) for name, array in found.derivatives.items()}
    call.results = Results(totals, found.outputs)


def as_example(executor: Executor, call: Execution) -> None:
    """A single example gets its leading axis and loses it again."""
    data, ready = as_one(executor, call)
    found = executor.run(call, _single(executor, call), data, ready)
    call.results = of_example(executor, call, found)


def of_example(executor: Executor, call: Execution, found: Results) -> Results:
    """What came out of a run of a single example, without its leading axis."""
    led = executor.layout(call.reading).led
    return found.mapped(
        lambda n, a: a[0] if led(n) and a.shape[0] == 1 else a, stacked=call.plan.stacked
    )


def as_one(executor: Executor, call: Execution) -> Feeds:
    """What the net is fed for a single example."""
    led, batched = executor.layout(call.reading).led, call.reading.batched
    data = {n: np.asarray(a)[None] if n in batched else a for n, a in call.data.items()}
    shapes = executor.shapes(call, map(seeds.value_of, call.imposed))

    def prepare(feed: str, array: Array, check: Check) -> Array:
        name = seeds.value_of(feed)
        dims = shapes[name]
        if not dims or not led(name):
            return check(array, dims)
        return np.asarray(check(array, dims[1:]))[None]

    return data, _ready(call, call.imposed, prepare)


def as_one_batch(executor: Executor, call: Execution) -> bool:
    """Run all examples at once where the net's structure allows it for what is asked."""
    over, layout = call.reading.batched, executor.layout(call.reading)
    variant = call.timed("compile", lambda: executor.variant(call.plan, over))
    plan = call.plan
    carried = [name for name in (*plan.wrt, *plan.tangents) if layout.own(name)]
    carried += [*plan.of, *plan.outputs]
    if executor.draws_by_example(over):
        return False
    if variant is None or not all(name in variant.axis for name in carried):
        if executor.draws:
            raise inseparable.draws_together("what is asked for has no axis for the examples")
        return False
    compiled = executor.compile_apart(call, over)
    if compiled is None:
        return False
    ready = over_examples(executor, call, variant.axis)
    found = executor.run(call, compiled, call.data, ready)
    call.results = of_examples(executor, call, variant.axis, found)
    return True


def over_examples(executor: Executor, call: Execution, axis: Axes) -> dict[str, Array]:
    """What is imposed on a batch over a fixed 1, with its examples where the net has them."""
    layout, count = executor.layout(call.reading), call.reading.count
    shapes = executor.shapes(call, map(seeds.value_of, call.imposed))

    def prepare(feed: str, array: Array, check: Check) -> Array:
        name = seeds.value_of(feed)
        if not layout.own(name):
            return check(array, shapes[name])
        alone = not layout.concatenated(name)
        whole = check(array, seeds.of_batch(shapes[name] or (), count, alone))
        return together(whole if alone else whole[:, None], axis[name])

    return _ready(call, call.imposed, prepare)


def of_examples(executor: Executor, call: Execution, axis: Axes, found: Results) -> Results:
    """What came out of a batch over a fixed 1, as its caller sees it."""
    layout = executor.layout(call.reading)

    def shown(name: str, array: Array) -> Array:
        if not layout.own(name) and name not in (*call.plan.of, *call.plan.outputs):
            return array  # a total over the examples, or on a leading axis if they are apart
        of_each = examples(array, axis[name])
        return of_each[:, 0] if layout.concatenated(name) else of_each

    return found.mapped(shown, stacked=call.plan.stacked)


def one_by_one(executor: Executor, call: Execution) -> None:
    """One run for each example; for none at all, a run on zeros that tells the shapes."""
    count, reading, imposed, data = call.reading.count, call.reading, call.imposed, call.data
    if count == 0:
        reading = replace(reading, count=1)
        imposed = {feed: empties.as_one(array) for feed, array in imposed.items()}
        data = empties.one_of_zeros(data, reading.batched)
    variant = executor.variant(call.plan, reading.batched) if reading.kind == AS_IS else None
    layout = executor.layout(reading, None if variant is None else variant.axis)
    compiled = _single(executor, call)
    each = _of_each(executor, replace(call, reading=reading, data=data, imposed=imposed), layout)
    runs = []
    for one, ready in each:
        runs.append(executor.run(call, compiled, one, ready))
        if len(runs) == 1:  # the others take as much
            executor.check_found(call.plan, runs[0], count)
    call.results = layout.joined(runs, count, call.plan)


def _of_each(executor: Executor, call: Execution, layout: Layout) -> Iterator[Feeds]:
    shapes = executor.shapes(call, map(seeds.value_of, call.imposed))
    unknown = tuple(name for name, dims in shapes.items() if dims is None and layout.own(name))
    if unknown:  # whether an array is for all or has a part for each, its rank tells
        first = executor.example(layout, call.data, 0)
        found = executor.compiled(Plan(outputs=unknown)).run(first, {}).outputs
        shapes |= {name: found[name].shape for name in unknown}

    def ready(index: int) -> dict[str, Array]:
        def prepare(feed: str, array: Array, check: Check) -> Array:
            name = seeds.value_of(feed)
            return layout.part(name, array, index, shapes[name], check)

        return _ready(call, call.imposed, prepare)

    for index in range(call.reading.count):
        yield executor.example(layout, call.data, index), ready(index)


def alone(executor: Executor, call: Execution) -> Iterator[Feeds]:
    """What the net itself is fed in a call: once, or, over a fixed 1, for each of its examples."""
    if call.reading.kind == EACH:
        yield from _of_each(executor, call, executor.layout(call.reading))
    elif call.reading.kind == EXAMPLE:
        yield as_one(executor, call)
    else:
        yield call.data, as_they_are(executor, call)


def _single(executor: Executor, call: Execution) -> Compiled:
    """The session for one example, whose derivatives are apart by themselves."""
    plan = replace(call.plan, apart=False)
    one = is_one(call.reading)
    compiled = call.timed("compile", lambda: executor.compiled(plan, one=one))
    call.warnings = (*executor.warnings, *compiled.warnings)
    return compiled


def _ready(call: Execution, imposed: Arrays, prepare: Prepare) -> dict[str, Array]:
    """What is imposed, as the graph takes it."""
    return {feed: _one_ready(call.plan, feed, array, prepare) for feed, array in imposed.items()}


def _one_ready(plan: Plan, feed: str, array: Array, prepare: Prepare) -> Array:
    stacked = plan.stacks(feed)
    exact = stacked or feed.startswith(TANGENT)
    check = partial(_checked, feed, exact, len(array) if stacked else None)

    def ready(one: Array) -> Array:
        return prepare(feed, one, check)

    return entrywise(array, ready) if stacked else ready(array)


def _checked(feed: str, exact: bool, height: int | None, array: Array, dims: object) -> Array:
    return seeds.checked(array, dims, feed, exact=exact, height=height)  # type: ignore[arg-type]
