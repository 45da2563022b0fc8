"""Operators that read the same elements in order under another shape.

In row-major order the batch lies between P elements before its axis and the rest after it. The
examples stay apart exactly if the new shape, too, has an axis of size 1 with P elements before it:
that one becomes the batch axis.

Where the batch and another axis become one (attention exported over sequence, batch times heads,
head), no axis of size 1 is left. Following that would need a block of the merged size for each
example in every rule of the table; such a net is run example by example.
"""

from __future__ import annotations

from collections.abc import Sequence

from portgrad.graph.batch.states import Along, Dim, N, Vector
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()


def elements(step: Step, sizes: Sequence[Dim]) -> tuple[int, tuple[str, ...]]:
    """The product of sizes: a number and the symbols."""
    number, symbols = 1, []
    for size in sizes:
        if size is None or size == 0:
            step.refuse("a size before the batch axis is not known")
        if isinstance(size, int):
            number *= size
        else:
            symbols.append(size)
    return number, tuple(sorted(symbols))


@RULES("Flatten")
def flatten(step: Step) -> Along:
    """Into two axes, of which one has the batch and nothing else."""
    shape, axis, cut = step.shape(0), step.batch(0), int(step.attribute("axis"))
    cut = cut + len(shape) if cut < 0 else cut
    part = shape[:cut] if axis < cut else shape[cut:]
    if elements(step, part) != (1, ()):
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
    axes = step.ints(1)
    rank = step.rank(0) + len(axes)
    new = {axis % rank for axis in axes}
    kept = [axis for axis in range(rank) if axis not in new]
    return Along(kept[step.batch(0)])


@RULES("Reshape")
def reshape(step: Step) -> Along:
    """The target is rewritten so that its batch axis follows the batch size."""
    axis, target = step.batch(0), step.output_shape()
    asked = step.vector(1)
    at = _batch_axis(step, axis, target, asked)
    if not step.fixed:
        _as_written(step, axis, at, asked)
    others = [size for i, size in enumerate(target) if i != at]
    if all(isinstance(size, int) and size > 0 for size in others):
        static = [size if isinstance(size, int) else None for size in target]
        step.rewrite(1, [*static[:at], -1, *static[at + 1 :]])
    else:
        _follow(step, axis, at, asked)
    return Along(at)


def _batch_axis(step: Step, axis: int, target: Sequence[Dim], asked: Vector) -> int:
    before = elements(step, step.shape(0)[:axis])
    if N in asked:
        candidates = [asked.index(N)] if asked.count(N) == 1 else []
    else:
        ones = [i for i, size in enumerate(target) if size == 1]
        candidates = sorted(ones, key=lambda i: i != axis)
    fitting = (i for i in candidates if elements(step, target[:i]) == before)
    found = next(fitting, None)
    return step.refuse("it merges the batch with another axis") if found is None else found


def _as_written(step: Step, axis: int, at: int, asked: Vector) -> None:
    """Refuse a target that puts the batch elsewhere once it has more than one example."""
    if axis != at and axis < len(asked) and asked[axis] in {0, None}:
        step.refuse("it may copy the batch size to another axis")
    if asked[at] not in ({N, -1, 0} if at == axis else {N, -1}):
        step.refuse("it writes a number where the batch size is open")


def _follow(step: Step, axis: int, at: int, asked: Vector) -> None:
    """Keep the target as asked for, but for the batch axis. Other sizes may be symbolic."""
    copies_batch = axis != at and axis < len(asked) and asked[axis] in {0, None}
    if copies_batch:
        step.refuse("it may copy the batch size to another axis")
    if N not in asked:
        step.rewrite(1, [*asked[:at], N, *asked[at + 1 :]])
