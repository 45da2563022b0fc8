"""SwiGLU: one operand gates the other. Its function body has a Swish, which onnxruntime does not
run in a net as new as the operator itself.
"""

from __future__ import annotations

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("SwiGLU")
def swiglu(op: Op, ct: Tensor, a: Tensor, b: Tensor, *, alpha: float) -> tuple[Tensor, Tensor]:
    s = op.Sigmoid(a * alpha)
    gate = a * s
    return ct * b * (s + gate * (1.0 - s) * alpha), ct * gate
