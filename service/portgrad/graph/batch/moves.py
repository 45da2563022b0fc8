"""Operators that move elements about without mixing them: transpose, concatenate, slice, repeat."""

from __future__ import annotations

from portgrad.graph.batch.states import Along, N, Size, Vector, sized
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()

_TO_THE_END = 2**31 - 1  # beyond any axis, in int32 and int64


@RULES("Transpose")
def transpose(step: Step) -> Along:
    """The batch goes where its axis goes."""
    perm = step.attribute("perm") or range(step.rank(0))[::-1]
    return Along(list(perm).index(step.batch(0)))


@RULES("Concat")
def concat(step: Step) -> Along:
    """Along another axis; a shared operand is repeated for each example."""
    [axis, *others] = {a for i in step.given() if (a := step.axis(i)) is not None}
    if others or axis == step.axis_attribute(step.rank(0)):
        step.refuse("it joins values along the batch axis")
    for index in step.given():
        step.follow(index, axis)
    return Along(axis)


@RULES("Split")
def split(step: Step) -> Along:
    """Along another axis."""
    step.shared()
    axis = step.batch(0)
    if axis == step.axis_attribute(step.rank(0)):
        step.refuse("it splits along the batch axis")
    return Along(axis)


@RULES("Slice")
def slice_(step: Step) -> Along:
    """Any part of the other axes; of the batch axis all of it, however the end is written."""
    axis = step.batch(0)
    axes = step.axes(3, step.rank(0)) if step.has(3) else list(range(len(step.vector(1))))
    if axis not in axes:
        step.shared()
        return Along(axis)
    if step.packed:
        step.refuse("it takes a part of an axis that has the batch and more")
    at = axes.index(axis)
    starts, ends = step.vector(1), step.vector(2)
    steps = step.vector(4) if step.has(4) else [1] * len(axes)
    end, least = ends[at], 1 if step.fixed else _TO_THE_END
    whole = end == N or (isinstance(end, int) and end >= least)
    if starts[at] != 0 or steps[at] != 1 or not whole:
        step.refuse("it takes a part of the batch axis")
    rest: Vector = [entry for i, entry in enumerate(ends) if i != at]
    if sized([*rest, *starts, *steps]):
        step.refuse("the batch size is used as a number")
    if isinstance(end, int) and end < _TO_THE_END:
        step.rewrite(2, [*ends[:at], _TO_THE_END, *ends[at + 1 :]])
    return Along(axis)


@RULES("Pad")
def pad(step: Step) -> Along:
    """Any axis but the batch's, which may be listed with no padding."""
    step.shared()
    axis, rank = step.batch(0), step.rank(0)
    axes = step.axes(3, rank) if step.has(3) else list(range(rank))
    if axis in axes:
        pads, at = step.vector(1), axes.index(axis)
        if pads[at] != 0 or pads[at + len(axes)] != 0:
            step.refuse("it pads the batch axis")
    return Along(axis)


@RULES("Tile")
def tile(step: Step) -> Along:
    """Repeats of the other axes; or a shared value repeated for each example."""
    repeats, axis = step.vector(1), step.axis(0)
    if axis is None:
        return Along(_repeated(step, repeats, len(repeats)))
    if repeats[axis] != 1 or sized(repeats):
        step.refuse("it repeats the batch axis")
    return Along(axis)


@RULES("Expand")
def expand(step: Step) -> Along:
    """Broadcast to a shape that has 1 or the batch size where the batch is."""
    axis = step.axis(0)
    if axis is None:
        target = step.vector(1)
        return Along(_repeated(step, target, max(step.rank(0), len(target))))
    return Along(expanded(step, axis))


def expanded(step: Step, axis: int) -> int:
    """Where an axis is after it was broadcast, 1 or the batch size being asked for it."""
    target, rank = step.vector(1), step.rank(0)
    wide = max(rank, len(target))
    padded: Vector = [*[1] * (wide - len(target)), *target]
    at = wide - rank + axis
    if padded[at] != 1 and (padded[at] != N or step.packed):
        step.refuse("it repeats the batch axis")
    if sized(padded[:at] + padded[at + 1 :]):
        step.refuse("the batch size is used on another axis")
    return at


@RULES("ConstantOfShape")
def constant_of_shape(step: Step) -> Along:
    """One constant for each example."""
    return Along(_only_batch(step, step.vector(0)))


def _repeated(step: Step, target: Vector, rank: int) -> int:
    """The axis on which a shared operand of size 1 is repeated as often as there are examples."""
    axis = rank - len(target) + _only_batch(step, target)
    shape = step.shape(0)
    own = axis - (rank - len(shape))
    if own >= 0 and shape[own] != 1:
        step.refuse("a shared operand spans the batch axis")
    return axis


def _only_batch(step: Step, sizes: Vector) -> int:
    if [size for size in sizes if isinstance(size, Size)] != [N]:
        step.refuse("the batch size is used on more than one axis")
    return sizes.index(N)
