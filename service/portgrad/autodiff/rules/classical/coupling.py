"""Probabilities of classes from those of pairs of classes, as onnxruntime computes them.

T.-F. Wu, C.-J. Lin, R. C. Weng, Probability estimates for multi-class classification by pairwise
coupling, JMLR 5 (2004), algorithm 2. With r[i, j] the probability of i against j, it minimises
p Q p / 2 over distributions p, where Q[i, i] = Σ r[j, i]² and Q[i, j] = -r[j, i] r[i, j]. The
runtime stops early, at an error of 0.005 / classes, and what it says there is differentiated: the
steps that it took, example by example.
"""

from __future__ import annotations

import itertools

import numpy as np

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.recurrences import Tensors

_MOST = 100  # steps
_EDGE = 1e-7  # probabilities of pairs keep this far from 0 and 1


def coupled(op: Op, beaten: Tensor, classes: int) -> Tensor:
    """(N, classes) from (N, pairs), the logits of the second of each pair of classes."""
    against = op.Clip(op.Sigmoid(-beaten), op.scalar(_EDGE, beaten), op.scalar(1 - _EDGE, beaten))
    quadratic = _quadratic(op, against, classes)

    rows = op.Transpose(quadratic, perm=[1, 0, 2])
    unit = op.constant(np.eye(classes, dtype=beaten.dtype.numpy())[:, None])

    def step(inner: Op, states: Tensors) -> tuple[Tensors, Tensor]:
        [p] = states
        slope = inner.squeeze(inner.MatMul(quadratic, inner.unsqueeze(p, 2)), 2)
        value = inner.reduce_sum(p * slope, [1])
        error = inner.ReduceMax(inner.Abs(slope - value), [1])
        [moved, _, _], _ = inner.scan(_move, [p, slope, value], [rows, unit])
        going = error >= 0.005 / classes
        any_going = inner.ReduceMax(inner.Cast(going, to=p.dtype), keepdims=0) > 0.0
        return [inner.shaped_as(inner.Where(going, moved, p), p)], any_going

    examples = op.dims(against)[0]
    start = op.constant(np.full((1, classes), 1.0 / classes, beaten.dtype.numpy()))
    uniform = op.Expand(start, op.vector([examples, 1]))
    return op.repeat(step, [uniform], _MOST)[0]


def _move(op: Op, states: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
    """Move one class's probability to where its slope is the mean slope, and share out the rest."""
    (p, slope, value), (row, unit) = states, slices
    own, mine = (op.reduce_sum(x * unit, [1]) for x in (row, slope))
    moved = (value - mine) / own
    scale = moved + 1.0
    after = (value + moved * (moved * own + mine * 2.0)) / scale / scale
    found = [(p + moved * unit) / scale, (slope + moved * row) / scale, after]
    return [op.shaped_as(x, like) for x, like in zip(found, (p, slope, value), strict=True)], []


def _quadratic(op: Op, against: Tensor, classes: int) -> Tensor:
    """Q of each example, (N, classes, classes)."""
    pairs = list(itertools.combinations(range(classes), 2))
    sign, rest = np.zeros((len(pairs), classes, classes)), np.zeros((classes, classes))
    for index, (i, j) in enumerate(pairs):
        sign[index, i, j], sign[index, j, i], rest[j, i] = 1.0, -1.0, 1.0
    dtype = against.dtype.numpy()
    flat = op.constant(sign.reshape(len(pairs), -1).astype(dtype))
    r = op.MatMul(against, flat) + op.constant(rest.reshape(-1).astype(dtype))
    r = op.Reshape(r, [-1, classes, classes])
    turned = op.Transpose(r, perm=[0, 2, 1])
    own = op.reduce_sum(turned * turned, [2])
    return own * op.constant(np.eye(classes, dtype=dtype)) - r * turned
