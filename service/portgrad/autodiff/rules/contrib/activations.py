"""com.microsoft: activations, and their fusions with a bias."""

from __future__ import annotations

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op

_DOMAIN = "com.microsoft"


@body("Gelu", domain=_DOMAIN)
def gelu(op: Op, x: Tensor) -> Tensor:
    return op.Gelu(x)


@body("BiasGelu", domain=_DOMAIN)
def bias_gelu(op: Op, a: Tensor, b: Tensor) -> Tensor:
    return op.Gelu(a + b)


@body("FastGelu", domain=_DOMAIN)
def fast_gelu(op: Op, x: Tensor, bias: Tensor | None) -> Tensor:
    return op.Gelu(x if bias is None else x + bias, approximate="tanh")


@body("QuickGelu", domain=_DOMAIN)
def quick_gelu(op: Op, x: Tensor, *, alpha: float) -> Tensor:
    return x * op.Sigmoid(x * alpha)
