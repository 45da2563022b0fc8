"""Operators that pick or place elements by index."""

from __future__ import annotations

from portgrad.graph.batch.states import Along, N, sized
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()


@RULES("Gather")
def gather(step: Step) -> Along:
    """Shared data by the example's indices (an embedding), or its data by shared indices."""
    axis = step.axis_attribute(step.rank(0))
    data, indices = step.axis(0), step.axis(1)
    if data is None:
        return Along(axis + step.batch(1))
    if indices is not None or data == axis:
        step.refuse("it picks among the examples")
    return Along(data if data < axis else data - 1 + step.rank(1))


@RULES("GatherElements")
def gather_elements(step: Step) -> Along:
    """Data and indices of the same example, along another axis."""
    return _element_by_element(step, [0, 1])


@RULES("ScatterElements")
def scatter_elements(step: Step) -> Along:
    """Data, indices and updates of the same example, along another axis."""
    return _element_by_element(step, [0, 1, 2])


def _element_by_element(step: Step, operands: list[int]) -> Along:
    [batch, *others] = {a for i in operands if (a := step.axis(i)) is not None}
    if others or batch == step.axis_attribute(step.rank(0)):
        step.refuse("it picks among the examples")
    for index in operands:
        step.follow(index, batch)
    return Along(batch)


@RULES("GatherND")
def gather_nd(step: Step) -> Along:
    """Shared data by the example's indices, or both along a batch axis of the operator."""
    data, indices = step.axis(0), step.axis(1)
    stacked = int(step.attribute("batch_dims"))
    if data is None and stacked == 0 and indices is not None and indices < step.rank(1) - 1:
        return Along(indices)
    if data is None or data != indices or data >= stacked:
        step.refuse("it picks among the examples")
    return Along(data)


@RULES("OneHot")
def one_hot(step: Step) -> Along:
    """A new axis among those of the indices."""
    step.shared()
    batch = step.batch(0)
    axis = step.axis_attribute(step.rank(0) + 1)
    return Along(batch if batch < axis else batch + 1)


@RULES("ReverseSequence")
def reverse_sequence(step: Step) -> Along:
    """The operator's own batch axis must be the batch's; lengths belong to the example."""
    axis = step.axis_attribute(step.rank(0), "batch_axis")
    step.follow(0, axis)
    step.follow(1, 0)
    return Along(axis)


@RULES("Resize")
def resize(step: Step) -> Along:
    """Any axis but the batch's, which is left out of the sizes."""
    axis, rank = step.batch(0), step.rank(0)
    axes = [a % rank for a in step.attribute("axes") or range(rank)]
    if step.attribute("coordinate_transformation_mode") == "tf_crop_and_resize":
        step.refuse("its region of interest may cut the batch")
    if step.has(3) and axis in axes:
        _leave_out(step, axes, axes.index(axis))
        return Along(axis)
    step.shared()
    if axis in axes and step.vector(2)[axes.index(axis)] != 1:
        step.refuse("it resizes the batch axis")
    return Along(axis)


def _leave_out(step: Step, axes: list[int], at: int) -> None:
    sizes = step.vector(3)
    whole = {1, N} if step.fixed else {N}
    if step.attribute("keep_aspect_ratio_policy") != "stretch" or sizes[at] not in whole:
        step.refuse("it resizes the batch axis")
    rest = [*sizes[:at], *sizes[at + 1 :]]
    if sized(rest):
        step.refuse("the batch size is used on another axis")
    step.rewrite(3, rest)
    step.set_ints("axes", [*axes[:at], *axes[at + 1 :]])
