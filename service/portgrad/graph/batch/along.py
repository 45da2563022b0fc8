"""Operators that work along axes, none of which may be the batch's: reductions, norms, sorts."""

from __future__ import annotations

from collections.abc import Iterable

from portgrad.graph.batch.states import Along
from portgrad.graph.batch.step import Result, Rules, Step

RULES = Rules()

_REDUCTIONS = (
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare"
).split()


def apart(step: Step, axes: Iterable[int]) -> int:
    """The batch axis of the first operand, which must be none of `axes`."""
    axis = step.batch(0)
    if axis in axes:
        step.refuse("it works along the batch axis")
    return axis


@RULES("Softmax", "LogSoftmax", "Hardmax", "LpNormalization")
def one_axis(step: Step) -> Along:
    """Along the axis that an attribute names."""
    return Along(apart(step, [step.axis_attribute(step.rank(0))]))


@RULES("CumSum", "CumProd")
def cumulative(step: Step) -> Along:
    """Along the axis that an operand names."""
    step.shared()
    return Along(apart(step, step.axes(1, step.rank(0))))


@RULES("TopK")
def top_k(step: Step) -> Along:
    """Values and places along one axis."""
    step.shared()
    return Along(apart(step, [step.axis_attribute(step.rank(0))]))


@RULES("LayerNormalization", "RMSNormalization")
def from_axis_on(step: Step) -> Along:
    """All axes from one on; scale and bias broadcast to them."""
    step.shared()
    rank = step.rank(0)
    first = step.axis_attribute(rank)
    if any(step.rank(index) > rank - first for index in step.given()[1:]):
        step.refuse("its scale or bias reaches beyond the normalised axes")
    return Along(apart(step, range(first, rank)))


@RULES("MeanVarianceNormalization")
def listed_axes(step: Step) -> Along:
    """All axes that an attribute lists."""
    rank = step.rank(0)
    return Along(apart(step, [axis % rank for axis in step.attribute("axes")]))


@RULES(*_REDUCTIONS)
def reduction(step: Step) -> Along:
    """Axes that disappear, or stay with size 1; none named means all of them."""
    step.shared()
    rank = step.rank(0)
    axes = step.axes(1, rank) if step.has(1) else []
    if not axes and not step.attribute("noop_with_empty_axes"):
        axes = list(range(rank))
    return _without(step, axes)


@RULES("ArgMax", "ArgMin")
def place(step: Step) -> Along:
    """The place of an extreme along one axis."""
    return _without(step, [step.axis_attribute(step.rank(0))])


def _without(step: Step, axes: list[int]) -> Along:
    axis = apart(step, axes)
    if step.attribute("keepdims"):
        return Along(axis)
    return Along(axis - sum(gone < axis for gone in set(axes)))


@RULES("DFT")
def fourier(step: Step) -> Along:
    """Along one axis; the last one holds the real and the imaginary part."""
    step.shared()
    rank = step.rank(0)
    axes = step.axes(2, rank) if step.has(2) else [rank - 2]
    return Along(apart(step, [*axes, rank - 1]))


@RULES("Trilu", "Det")
def matrices(step: Step) -> Along:
    """Stacks of matrices in the last two axes."""
    step.shared()
    rank = step.rank(0)
    return Along(apart(step, [rank - 2, rank - 1]))


@RULES("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss")
def loss(step: Step) -> Result:
    """One loss for each example; a mean or total over them is none."""
    step.batch_at(0, 0)
    step.follow(1, 0)
    step.shared(2)
    if step.attribute("reduction") != "none":
        step.refuse("it totals over the examples")
    return Along(0)
