"""Losses over classes on axis 1: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.

The loss of one place is -weight[t] log_prob[t], t its label. Where the label is `ignore_index`
there is none. The reduction "mean" divides the sum by the weights of the places that count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@dataclass(frozen=True)
class Places:
    """What the labels choose, with a class axis of size 1 kept.

    Attributes:
        chosen: whether a class is the label of its place, over all classes.
        labels: the label, 0 where the place is ignored.
        counted: 1 where the place counts, 0 where it is ignored.
    """

    chosen: Tensor
    labels: Tensor
    counted: Tensor


def _places(op: Op, log_prob: Tensor, target: Tensor, ignore_index: int | None) -> Places:
    labels = op.unsqueeze(op.as_int64(target), 1)
    classes = op.iota(op.size(log_prob, 1))
    row = op.unsqueeze(classes, 0, *range(2, op.rank(log_prob)))
    chosen = op.Equal(labels, row)
    if ignore_index is None:
        one = np.ones(1, log_prob.dtype.numpy())
        return Places(chosen, labels, op.ConstantOfShape(op.shape(labels), value=one))
    counts = op.Not(op.Equal(labels, ignore_index))
    return Places(op.And(chosen, counts), op.Where(counts, labels, 0), op.mask(counts, log_prob))


def _by_class(
    op: Op,
    ct: Tensor,
    log_prob: Tensor,
    places: Places,
    weight: Tensor | None,
    reduction: str,
) -> tuple[Tensor, Tensor | None]:
    """For each place, minus the cotangent of log_prob at its label; and the cotangent of weight."""
    weights = places.counted
    if weight is not None:
        weights = op.Gather(weight, places.labels, axis=0) * weights
    ct_place = ct if reduction != "none" else op.unsqueeze(ct, 1)
    total = op.ReduceSum(weights, keepdims=0)
    if reduction == "mean":
        ct_place = ct_place / op.Where(op.Equal(total, 0.0), 1.0, total)
    if weight is None:
        return ct_place * weights, None
    gain = op.GatherElements(log_prob, places.labels, axis=1)
    if reduction == "mean":  # the sum of weights moves too
        gain = gain - op.ReduceSum(gain * weights, keepdims=0) / total
    by_class = op.Where(places.chosen, -(ct_place * gain), 0.0)
    return ct_place * weights, op.sum_to_channels(by_class, weight)


@vjp("NegativeLogLikelihoodLoss", kink="0 where no place counts")
def negative_log_likelihood_loss(
    op: Op,
    ct: Tensor,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    *,
    ignore_index: int | None,
    reduction: str,
) -> tuple[Tensor, None, Tensor | None]:
    places = _places(op, input, target, ignore_index)
    ct_place, ct_weight = _by_class(op, ct, input, places, weight, reduction)
    return op.shaped_as(op.mask(places.chosen, ct) * -ct_place, input), None, ct_weight


@vjp("SoftmaxCrossEntropyLoss", kink="0 where no place counts")
def softmax_cross_entropy_loss(
    op: Op,
    ct: Tensor,
    scores: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    *,
    log_prob: Tensor,
    ct_log_prob: Tensor | None,
    ignore_index: int | None,
    reduction: str,
) -> tuple[Tensor, None, Tensor | None]:
    places = _places(op, scores, labels, ignore_index)
    ct_place, ct_weights = _by_class(op, ct, log_prob, places, weights, reduction)
    # Of log_prob: -ct_place at the label; through the logarithm of softmax it is ct - p sum(ct).
    direct, total = op.mask(places.chosen, ct) * -ct_place, -ct_place
    if ct_log_prob is not None:
        direct = direct + ct_log_prob
        total = total + op.reduce_sum(ct_log_prob, [1])
    return op.shaped_as(direct - op.Exp(log_prob) * total, scores), None, ct_weights
