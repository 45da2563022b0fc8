"""ai.onnx.ml: support vector machines, with libsvm's layout of classes and pairs of classes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from portgrad.autodiff.registry import Result, Zero, body
from portgrad.autodiff.rules.classical.coupling import coupled
from portgrad.autodiff.rules.classical.scores import (
    linear,
    matrix,
    product,
    rows,
    transformed,
    two_columns,
)
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.classical import DOMAIN

Floats = Sequence[float] | None
_COST = "RBF far from the vectors' centre: a difference for each example, vector and feature"
_NEAR = 30.0  # γ d², up to which a float32 keeps 1e-5 of a kernel's value
_KINK = "probabilities: between the jumps of the number of steps; PROBIT: infinite at 0 and 1"
_OUTLIER = Zero("it says 1 or -1 (one_class), which is piecewise constant, so its gradient is zero")


@body("SVMRegressor", domain=DOMAIN, cost=_COST)
def svm_regressor(
    op: Op,
    x: Tensor,
    *,
    coefficients: Floats,
    kernel_params: Floats,
    kernel_type: str,
    n_supports: int,
    one_class: int,
    rho: Floats,
    support_vectors: Floats,
) -> Result:
    if one_class:
        return _OUTLIER
    weights = matrix("coefficients", coefficients, 1)
    if n_supports < 1:
        return linear(op, x, weights, _offsets(rho, 1))
    vectors = matrix("support_vectors", support_vectors, n_supports)
    similar = _kernel(op, x, vectors, kernel_type, kernel_params)
    return product(op, similar, weights, _offsets(rho, 1))


@body("SVMClassifier", domain=DOMAIN, cost=_COST, kink=_KINK)
def svm_classifier(
    op: Op,
    x: Tensor,
    *,
    classlabels_ints: Sequence[int] | None,
    classlabels_strings: Sequence[str] | None,
    coefficients: Floats,
    kernel_params: Floats,
    kernel_type: str,
    post_transform: str,
    prob_a: Floats,
    prob_b: Floats,
    rho: Floats,
    support_vectors: Floats,
    vectors_per_class: Sequence[int] | None,
) -> tuple[None, Tensor]:
    classes, counts = len(classlabels_strings or classlabels_ints or ()), vectors_per_class or ()
    if not sum(counts):
        weights = matrix("coefficients", coefficients, classes)
        scores = linear(op, x, weights, _offsets(rho, 1))
        return None, transformed(op, scores, post_transform, classes)
    if classes < 2 or len(counts) != classes:
        raise Unsupported(f"it has {classes} classes and {len(counts)} vectors_per_class")
    pairs = classes * (classes - 1) // 2
    vectors = matrix("support_vectors", support_vectors, sum(counts))
    similar = _kernel(op, x, vectors, kernel_type, kernel_params)
    votes = product(op, similar, _by_pair(coefficients, counts), _offsets(rho, pairs))
    if prob_a:
        beaten = votes * _row(op, prob_a, pairs) + _row(op, prob_b, pairs)
        return None, transformed(op, coupled(op, beaten, classes), post_transform, classes)
    if classes > 2:
        return None, transformed(op, votes, post_transform, pairs)
    mirrored = post_transform == "NONE"
    return None, two_columns(op, votes, post_transform, mirrored=mirrored)


def _offsets(rho: Floats, count: int) -> list[float]:
    held = list(rho or ())
    if len(held) < count:
        raise Unsupported(f"it has {len(held)} rho, and {count} are needed")
    return held[:count]


def _row(op: Op, values: Floats, count: int) -> Tensor:
    return op.constant(np.asarray(_offsets(values, count), np.float32))


def _by_pair(coefficients: Floats, counts: Sequence[int]) -> np.ndarray:
    """The weight of each support vector in the vote of each pair of classes.

    Row c of the coefficients has what a vector says against the c-th of the other classes.
    """
    held = matrix("coefficients", coefficients, len(counts) - 1)
    ends = np.cumsum(counts)
    of = [slice(end - count, end) for count, end in zip(counts, ends, strict=True)]
    votes = []
    for i, j in itertools.combinations(range(len(counts)), 2):
        vote = np.zeros(ends[-1], np.float32)
        vote[of[i]], vote[of[j]] = held[j - 1, of[i]], held[i, of[j]]
        votes.append(vote)
    return np.stack(votes)


def _kernel(op: Op, x: Tensor, vectors: np.ndarray, kind: str, parameters: Floats) -> Tensor:
    """How similar each row of features is to each support vector."""
    x = rows(op, x, vectors.shape[1])
    gamma, coef0, degree = (*(float(p) for p in parameters or (0.0, 0.0, 0.0)),)[:3]
    if kind == "RBF":
        return op.Exp(_distances(op, x, vectors, gamma) * -gamma)
    if kind == "LINEAR":
        return product(op, x, vectors, ())
    inner = product(op, x, vectors, ()) * gamma + coef0
    if kind == "SIGMOID":
        return op.Tanh(inner)
    if kind != "POLY":
        raise Unsupported(f"its kernel_type {kind!r} is not known")
    return inner**degree


def _distances(op: Op, x: Tensor, vectors: np.ndarray, gamma: float) -> Tensor:
    """The square of the distance of each row to each support vector.

    |x|² - 2 x·v + |v|² about the vectors' centre takes one product, and errs by a rounding of its
    terms. These are small times gamma where the vectors are near to each other. Where they are not,
    it would cancel, and the squares of all differences are added, as the runtime does.
    """
    centre = vectors.mean(axis=0)
    around = vectors - centre
    squares = (around * around).sum(axis=1)
    if abs(gamma) * squares.max() < _NEAR:
        moved = x - op.constant(centre)
        own = op.reduce_sum(moved * moved, [1])
        return product(op, moved, around * -2.0, squares.tolist()) + own
    away = op.unsqueeze(x, 1) - op.constant(vectors[None])
    return op.reduce_sum(away * away, [2], keepdims=False)
