"""com.microsoft: inverses, and distances between points."""

from __future__ import annotations

from portgrad.autodiff.registry import body, vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN


@vjp("Inverse", domain=DOMAIN)
def inverse(op: Op, ct: Tensor, x: Tensor, *, y: Tensor) -> Tensor:
    # d(X^-1) = -X^-1 dX X^-1.
    turned = op.swap_last_two(y)
    return -(turned @ ct @ turned)


@body(
    "CDist",
    domain=DOMAIN,
    kink="0 where a distance is 0",
    cost="the difference of each pair is held",
)
def cdist(op: Op, a: Tensor, b: Tensor, *, metric: str) -> Tensor:
    difference = op.unsqueeze(a, 1) - op.unsqueeze(b, 0)
    if metric == "sqeuclidean":
        return op.reduce_sum(difference * difference, [2], keepdims=False)
    if metric == "euclidean":
        return op.ReduceL2(difference, [2], keepdims=0)
    raise Unsupported(f"onnxruntime has no kernel of the metric {metric!r}")
