"""Several calls of one plan as one run, each with what it would have found alone.

The examples of all calls lie one after the other, which takes the proof that they cannot meet
(`graph.batching.proof_apart`). What a call finds differs from what it finds alone by the rounding
of sums that the runtime adds up in another order. A call that does not fit the others is left out:
alone it runs, or is refused, as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from portgrad.autodiff.per_example import NotApart
from portgrad.engine import seeds, ways
from portgrad.engine.arrays import Array
from portgrad.engine.batches import AS_IS, EXAMPLE
from portgrad.engine.execution import Execution
from portgrad.engine.executor import Executor
from portgrad.engine.plan import Compiled, Plan, Results
from portgrad.errors import InvalidRequest, LimitExceeded, PortgradError
from portgrad.graph.batch.states import Refused
from portgrad.graph.batching import Axes, proof_apart
from portgrad.graph.names import Names


def check(executor: Executor, names: Names) -> None:
    """Refuse a net whose examples may meet.

    Raises:
        InvalidRequest: `not_batchable`, with the node, port or value that stands in the way.
    """
    if not names.inputs:
        raise _not_batchable("it has no input port", None)
    try:
        axis = proof_apart(executor.model, tuple(names.inputs)).axis
    except Refused as refused:
        raise _not_batchable(str(refused), refused.where) from refused
    for name in names.outputs:
        if name not in axis:
            raise _not_batchable(f"the output {name} has no axis for the examples alone", name)


def run(executor: Executor, plan: Plan, calls: Iterable[Execution]) -> bool:
    """Run calls at once, and note in each what it finds; False where such calls never can.

    A call that does not fit the first one is left without results; all are where they fail, so
    that each is run alone and only those at fault are refused.
    """
    over = frozenset(executor.ports)
    variant = None if executor.draws or plan.stacked else executor.variant(plan, over)
    if variant is None or not _carried(plan, variant.axis):
        return False
    able = [_member(executor, call, variant.axis) for call in calls]
    members = [one for one in able if one is not None]
    members = [one for one in members if one.form == members[0].form]
    if not members:
        return True
    joint = Execution(plan, *_joined(members, variant.axis), members[0].call.reading)
    try:
        compiled = _compiled(executor, joint, over)
        results = executor.run(joint, compiled, joint.data, joint.imposed)
    except NotApart:
        return False
    except PortgradError as error:  # more memory than there is takes the number of calls
        return not isinstance(error, LimitExceeded) and error.code != "out_of_memory"
    for member, part in zip(members, _parts(members, results, variant.axis), strict=True):
        _tell(executor, joint, member.call, part, variant.axis)
    return True


def _carried(plan: Plan, axis: Axes) -> bool:
    """Whether each array of the answer has the examples on an axis."""
    wrt = [name for name in plan.wrt if not plan.keeps_apart or axis.has(name)]
    return all(name in axis for name in (*wrt, *plan.of, *plan.outputs))


@dataclass(frozen=True)
class _Member:
    """A call, and its arrays as the joint run has them.

    Attributes:
        call: the call.
        count: how many examples it has.
        data: an array for each input port, its examples in front.
        imposed: arrays by feed, one entry for each example along the axis of its value.
        form: what must be the same for calls to go together.
    """

    call: Execution
    count: int
    data: Mapping[str, Array]
    imposed: Mapping[str, Array]
    form: tuple[Any, ...]


def _member(executor: Executor, call: Execution, axis: Axes) -> _Member | None:
    """None for a call that goes along with no other."""
    try:
        data, imposed = _fed(executor, call, axis)
    except PortgradError:
        return None
    count = _count(executor, call, data)
    if count is None:
        return None
    form: list[Any] = [(array.dtype, array.shape[1:]) for array in data.values()]
    spread = {}
    for feed, array in imposed.items():
        found = _spread(executor, feed, array, count, axis)
        if found is None:
            return None
        spread[feed], at = found
        form.append((array.dtype, array.shape[:at], array.shape[at + 1 :]))
    return _Member(call, count, data, spread, tuple(form))


def _fed(
    executor: Executor, call: Execution, axis: Axes
) -> tuple[dict[str, Array], Mapping[str, Array]]:
    """The arrays of a call with an axis for its examples: one, where it is a single example."""
    if call.reading.kind == EXAMPLE:
        data, ready = ways.as_one(executor, call)
    elif call.reading.kind == AS_IS:
        data, ready = call.data, ways.as_they_are(executor, call)
    else:
        data, ready = call.data, ways.over_examples(executor, call, axis)
    return {name: data[name] for name in executor.ports}, ready  # type: ignore[misc]


def _count(executor: Executor, call: Execution, data: Mapping[str, Array]) -> int | None:
    """How many examples a call has; None where it has none, or not all ports carry them."""
    if call.plan.apart and call.reading.batched != executor.ports.keys():
        return None
    if not all(isinstance(array, np.ndarray) and array.ndim for array in data.values()):
        return None
    counts = {array.shape[0] for array in data.values()}
    return counts.pop() or None if len(counts) == 1 else None


def _spread(
    executor: Executor, feed: str, array: Array, count: int, axis: Axes
) -> tuple[Array, int] | None:
    """An imposed array with an entry for each example, and the axis of these."""
    name = seeds.value_of(feed)
    at, dims = axis[name], executor.dims(name)
    if dims is None or array.ndim != len(dims) or array.shape[at] not in {1, count}:
        return None
    return (array if array.shape[at] == count else np.repeat(array, count, at)), at


def _joined(members: Sequence[_Member], axis: Axes) -> tuple[dict[str, Array], dict[str, Array]]:
    first = members[0]
    data = {name: np.concatenate([one.data[name] for one in members]) for name in first.data}
    imposed = {
        feed: np.concatenate([one.imposed[feed] for one in members], axis[seeds.value_of(feed)])
        for feed in first.imposed
    }
    return data, imposed


def _compiled(executor: Executor, joint: Execution, over: frozenset[str]) -> Compiled:
    """The session of calls alone where it takes any number of examples, else one that does."""
    takes_any = all(dims and isinstance(dims[0], str) for dims in executor.ports.values())
    return executor.compile(joint, frozenset() if takes_any and not joint.plan.apart else over)


def _parts(members: Sequence[_Member], found: Results, axis: Axes) -> Iterator[Results]:
    """Of what came out, what each call has."""
    ends = accumulate(one.count for one in members)
    for member, end in zip(members, ends, strict=True):
        yield found.mapped(partial(_part, axis, slice(end - member.count, end)))


def _part(axis: Axes, own: slice, name: str, array: Array) -> Array:
    # What examples share has them in front, where they are kept apart.
    return array[(slice(None),) * axis.get(name, 0) + (own,)]


def _tell(executor: Executor, joint: Execution, call: Execution, part: Results, axis: Axes) -> None:
    """Give a call its part, as it would see it alone."""
    call.warnings, call.timings = joint.warnings, joint.timings
    kind = call.reading.kind
    if kind == AS_IS:
        call.results = part
    elif kind != EXAMPLE:
        call.results = ways.of_examples(executor, call, axis, part)
    else:
        one = ways.of_example(executor, call, part)
        shared = {n: a[0] for n, a in part.derivatives.items() if not axis.has(n)}
        call.results = replace(one, derivatives={**one.derivatives, **shared})


def _not_batchable(because: str, where: str | None) -> InvalidRequest:
    return InvalidRequest(
        f"The net cannot be declared batchable: {because}.",
        code="not_batchable",
        where=where,
        expected="a net that keeps the examples of a batch apart: each input port has an open or "
        "1-sized leading axis, each output port one entry for each example",
        remedy="Upload it without `batchable`; its calls then run one by one. Or export it "
        "without what lets examples meet.",
    )
