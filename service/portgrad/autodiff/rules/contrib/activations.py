"""com.microsoft: activations, and their fusions with a bias."""

from __future__ import annotations

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.graph.schemas.contrib import DOMAIN


@body("Gelu", domain=DOMAIN)
def gelu(op: Op, x: Tensor) -> Tensor:
    return op.Gelu(x)


@body("BiasGelu", domain=DOMAIN)
def bias_gelu(op: Op, a: Tensor, b: Tensor) -> Tensor:
    return op.Gelu(a + b)


@body("FastGelu", domain=DOMAIN)
def fast_gelu(op: Op, x: Tensor, bias: Tensor | None) -> Tensor:
    return op.Gelu(x if bias is None else x + bias, approximate="tanh")


@body("QuickGelu", domain=DOMAIN)
def quick_gelu(op: Op, x: Tensor, *, alpha: float) -> Tensor:
    return x * op.Sigmoid(x * alpha)
