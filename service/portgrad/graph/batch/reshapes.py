"""Operators that read the same elements in order under another shape.

In row-major order the batch lies between P elements before it and the rest after it. The examples
stay apart if the new shape, too, has an axis with P elements before the batch on it. Best is one of
size 1 with all P before the axis: that one becomes the batch axis. Otherwise the batch is on one
axis with others (attention exported over sequence, batch times heads, head; rows of all sequences):
see `Along`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portgrad.graph.batch.counts import ONE, Count, Dim
from portgrad.graph.batch.states import Along, N, Vector, sized
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()


@RULES("Flatten")
def flatten(step: Step) -> Along:
    """Into two axes, of which one has the batch and nothing else."""
    shape, axis, cut = step.shape(0), step.batch(0), int(step.attribute("axis"))
    cut = cut + len(shape) if cut < 0 else cut
    part = shape[:cut] if axis < cut else shape[cut:]
    if Count.of(part) != ONE:
        step.refuse("it merges the batch with another axis")
    return Along(0 if axis < cut else 1)


@RULES("Squeeze")
def squeeze(step: Step) -> Along:
    """Axes other than the batch's disappear."""
    if not step.has(1):
        step.refuse("it takes away every axis of size 1, the batch among them")
    axis, gone = step.batch(0), step.axes(1, step.rank(0))
    if axis in gone:
        step.refuse("it takes the batch axis away")
    return Along(axis - sum(other < axis for other in set(gone)))


@RULES("Unsqueeze")
def unsqueeze(step: Step) -> Along:
    """Axes of size 1 appear."""
    return Along(unsqueezed(step, step.batch(0)))


def unsqueezed(step: Step, axis: int) -> int:
    """Where an axis is after axes of size 1 have appeared."""
    axes = step.ints(1)
    rank = step.rank(0) + len(axes)
    new = {axis % rank for axis in axes}
    return [place for place in range(rank) if place not in new][axis]


@RULES("Reshape")
def reshape(step: Step) -> Along:
    """The target is rewritten so that its batch axis follows the batch size."""
    before, target, asked = step.place(0), step.output_shape(), step.vector(1)
    found = next(_places(step, before, target, asked), None)
    if found is None:
        step.refuse("the batch is on no axis of its target")
    if not step.fixed:
        _check_copies(step, before, found, asked)
    at = found.axis
    others = [size for i, size in enumerate(target) if i != at]
    if all(isinstance(size, int) and size > 0 for size in others):
        static = [size if isinstance(size, int) else None for size in target]
        step.rewrite(1, [*static[:at], -1, *static[at + 1 :]])
    elif step.fixed:
        _follow(step, before.axis, found, asked)
    return found


def _places(step: Step, before: Along, target: Sequence[Dim], asked: Vector) -> Iterator[Along]:
    """Where the batch may be in the target, best first."""
    ahead = Count.of(step.shape(0)[: before.axis])
    if ahead is None:
        step.refuse("a size before the batch axis is not known")
    ahead, behind = ahead.times(before.outer), Count.of(step.shape(0)[before.axis + 1 :])
    behind = None if behind is None else behind.times(before.block)
    for at in _candidates(step, before.axis, target, asked):
        outer = _quotient(ahead, Count.of(target[:at]))
        block = _quotient(behind, Count.of(target[at + 1 :]))
        if block is None and outer is not None:  # where sizes after it are not known
            block = _quotient(Count.of([target[at]]), outer)
        if outer is not None and block is not None:
            yield Along(at, outer, block)


def _quotient(count: Count | None, other: Count | None) -> Count | None:
    return None if count is None or other is None else count.over(other)


def _candidates(step: Step, axis: int, target: Sequence[Dim], asked: Vector) -> list[int]:
    following = [at for at, entry in enumerate(asked) if sized([entry])]
    if following:
        return following if len(following) == 1 else []
    if step.fixed:  # any will do; the last axis is the one that products sum over
        last = len(target) - 1
        return sorted(range(len(target)), key=lambda i: (target[i] != 1, i != axis, i == last, i))
    if axis < len(asked) and asked[axis] == 0:
        return [axis]
    return [asked.index(-1)] if -1 in asked else []


def _check_copies(step: Step, before: Along, found: Along, asked: Vector) -> None:
    """Refuse a target that has the batch elsewhere once there is more than one example."""
    axis = before.axis
    if found.axis == axis:
        copied = asked[axis] == 0
        if copied and (found.outer, found.block) != (before.outer, before.block):
            step.refuse("it copies the batch size with another one")
    elif axis < len(asked) and asked[axis] in {0, None}:
        step.refuse("it may copy the batch size to another axis")


def _follow(step: Step, axis: int, found: Along, asked: Vector) -> None:
    """Keep the target as asked for, but for the batch axis. Other sizes may be symbolic."""
    at = found.axis
    if axis != at and axis < len(asked) and asked[axis] in {0, None}:
        step.refuse("it may copy the batch size to another axis")
    if not found.plain and asked[at] != -1 and not sized([asked[at]]):
        step.refuse("it writes a number for the batch and more")
    if found.plain and N not in asked:
        step.rewrite(1, [*asked[:at], N, *asked[at + 1 :]])
