"""Operators whose specification puts the batch on axis 0: convolution, pooling, their kin."""

from __future__ import annotations

from portgrad.graph.batch.states import Along, N, sized
from portgrad.graph.batch.step import Result, Rules, Step

RULES = Rules()

_FIRST_AXIS = (
    "AveragePool Col2Im Conv ConvInteger ConvTranspose DepthToSpace GlobalAveragePool "
    "GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN LpPool QLinearConv "
    "SpaceToDepth STFT"
).split()


@RULES(*_FIRST_AXIS)
def first_axis(step: Step) -> Along:
    """The data carry the batch, the weights and settings are shared."""
    step.batch_at(0, 0)
    step.shared()
    return Along(0)


@RULES("MaxPool")
def max_pool(step: Step) -> Result:
    """Its Indices count through the whole batch, so nothing may read them."""
    for indices in step.node.outputs[1:]:
        if indices.uses() or indices.is_graph_output():
            step.refuse("its Indices count through the whole batch")
    return first_axis(step)


@RULES("BatchNormalization")
def batch_normalization(step: Step) -> Result:
    """With stored statistics only."""
    if step.attribute("training_mode"):
        step.refuse("it takes its statistics over the batch")
    return first_axis(step)


@RULES("DeformConv")
def deform_conv(step: Step) -> Along:
    """Data, offset and mask belong to the example, weights and bias to all."""
    step.batch_at(0, 0)
    step.follow(2, 0)
    if step.has(4):
        step.follow(4, 0)
    if step.axis(1) is not None or step.axis(3) is not None:
        step.refuse("its weights differ between examples")
    return Along(0)


@RULES("GridSample")
def grid_sample(step: Step) -> Along:
    """Picture and grid belong to the example."""
    step.follow(0, 0)
    step.follow(1, 0)
    return Along(0)


@RULES("AffineGrid")
def affine_grid(step: Step) -> Along:
    """The grid's size names the batch size first."""
    step.batch_at(0, 0)
    first, *rest = step.vector(1)
    if sized(rest):
        step.refuse("the batch size is used as a number")
    if first != N and not step.fixed:
        step.refuse("it writes a number where the batch size is open")
    step.rewrite(1, [N, *rest])
    return Along(0)
