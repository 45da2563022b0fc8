"""ai.onnx.ml: linear models."""

from __future__ import annotations

from collections.abc import Sequence

from portgrad.autodiff.registry import body
from portgrad.autodiff.rules.classical.scores import (
    linear,
    matrix,
    transformed,
    two_columns,
)
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.classical import DOMAIN

Floats = Sequence[float] | None
_KINK = "PROBIT: infinite at 0 and 1"


@body("LinearRegressor", domain=DOMAIN, kink=_KINK)
def linear_regressor(
    op: Op,
    x: Tensor,
    *,
    coefficients: Floats,
    intercepts: Floats,
    targets: int,
    post_transform: str,
) -> Tensor:
    weights = matrix("coefficients", coefficients, targets)
    biases = list(intercepts or ())
    used = biases if len(biases) == targets else []  # the runtime ignores others
    return transformed(op, linear(op, x, weights, used), post_transform, targets)


@body("LinearClassifier", domain=DOMAIN, kink=_KINK)
def linear_classifier(
    op: Op,
    x: Tensor,
    *,
    coefficients: Floats,
    intercepts: Floats,
    classlabels_ints: Sequence[int] | None,
    classlabels_strings: Sequence[str] | None,
    post_transform: str,
) -> tuple[None, Tensor]:
    biases = list(intercepts or ())
    if not biases:  # the runtime counts the classes by them
        raise Unsupported("it has no intercepts, of which the runtime makes one column each")
    weights = matrix("coefficients", coefficients, len(biases))
    scores = linear(op, x, weights, biases)
    labels = classlabels_strings or classlabels_ints or ()
    if len(biases) > 1 or len(labels) != 2:
        return None, transformed(op, scores, post_transform, len(biases))
    return None, two_columns(op, scores, post_transform, mirrored=False)
