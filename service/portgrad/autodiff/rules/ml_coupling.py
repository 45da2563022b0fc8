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

    def step(inner: Op, states: Tensors) -> tuple[Tensors, Tensor]:
        [p] = states
        moved, going = _step(inner, quadratic, p, classes)
        wanted = inner.ReduceMax(inner.Cast(going, to=beaten.dtype), keepdims=0) > 0.0
        return [inner.shaped_as(inner.Where(going, moved, p), p)], wanted

    examples = op.dims(against)[0]
    start = op.constant(np.full((1, classes), 1.0 / classes, beaten.dtype.numpy()))
    uniform = op.Expand(start, op.vector([examples, 1]))
    return op.repeat(step, [uniform], _MOST)[0]


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


def _step(op: Op, quadratic: Tensor, p: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """One round over the classes, and for which examples the runtime goes one."""
    slope = op.squeeze(op.MatMul(quadratic, op.unsqueeze(p, 2)), 2)
    value = op.reduce_sum(p * slope, [1])
    error = op.ReduceMax(op.Abs(slope - value), [1])
    going = error >= 0.005 / classes
    for k in range(classes):
        [row] = [op.Gather(quadratic, op.index(k), axis=1)]
        own, mine = (op.Gather(t, op.ints(k), axis=1) for t in (row, slope))
        moved = (value - mine) / own
        scale = moved + 1.0
        chosen = op.constant(np.eye(classes, dtype=p.dtype.numpy())[k : k + 1])
        p = (p + moved * chosen) / scale
        value = (value + moved * (moved * own + mine * 2.0)) / scale / scale
        slope = (slope + moved * row) / scale
    return p, going
