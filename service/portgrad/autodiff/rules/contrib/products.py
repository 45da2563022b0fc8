"""com.microsoft: products fused with a transposition, a scaling, a sum or an activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portgrad.autodiff.registry import body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported
from portgrad.graph.schemas.contrib import DOMAIN

# Those of two parameters take alpha and beta; Selu alpha and gamma, Clip its bounds.
_ACTIVATIONS: dict[str, Callable[[Op, Tensor, float, float], Tensor]] = {
    # Celu takes no halves.
    "Celu": lambda op, x, a, _: op.cast_like(op.Celu(*op.widen(x), alpha=a), x),
    "Clip": lambda op, x, low, high: op.Clip(x, low, high),
    "Elu": lambda op, x, a, _: op.Elu(x, alpha=a),
    "HardSigmoid": lambda op, x, a, b: op.HardSigmoid(x, alpha=a, beta=b),
    "HardSwish": lambda op, x, *_: op.HardSwish(x),
    "LeakyRelu": lambda op, x, a, _: op.LeakyRelu(x, alpha=a),
    "ParametricSoftplus": lambda op, x, a, b: op.Softplus(x * b) * a,
    "Relu": lambda op, x, *_: op.Relu(x),
    "ScaledTanh": lambda op, x, a, b: op.Tanh(x * b) * a,
    "Selu": lambda op, x, a, c: op.Selu(x, alpha=a, gamma=c),
    "Sigmoid": lambda op, x, *_: op.Sigmoid(x),
    "Softplus": lambda op, x, *_: op.Softplus(x),
    "Softsign": lambda op, x, *_: op.Softsign(x),
    "Tanh": lambda op, x, *_: op.Tanh(x),
    "ThresholdedRelu": lambda op, x, a, _: op.ThresholdedRelu(x, alpha=a),
}


def _activated(op: Op, x: Tensor, name: str | None, *parameters: float | None) -> Tensor:
    """An activation of x by its name; without a name, x."""
    if not name:
        return x
    if name not in _ACTIVATIONS:
        raise Unsupported(f"its activation {name!r} is none that onnxruntime fuses")
    first, second = (0.0 if p is None else p for p in (*parameters, None, None)[:2])
    return _ACTIVATIONS[name](op, x, first, second)


@body("FusedMatMul", domain=DOMAIN)
def fused_mat_mul(
    op: Op,
    a: Tensor,
    b: Tensor,
    *,
    alpha: float,
    transa: int,
    transb: int,
    transbatcha: int,
    transbatchb: int,
) -> Tensor:
    return _product(op, a, b, alpha, transa, transb, transbatcha, transbatchb)


@body("TransposeMatMul", domain=DOMAIN)
def transpose_mat_mul(
    op: Op, a: Tensor, b: Tensor, *, alpha: float, transa: int, transb: int
) -> Tensor:
    return _product(op, a, b, alpha, transa, transb)


def _product(
    op: Op,
    a: Tensor,
    b: Tensor,
    alpha: float,
    transa: int,
    transb: int,
    transbatcha: int = 0,
    transbatchb: int = 0,
) -> Tensor:
    left = _turned(op, a, transa, transbatcha)
    if transb and not transbatchb and op.rank(b) == 2 and op.rank(left) > 1:
        # As one Gemm: a Transpose of a weight would be folded into a second copy of it.
        *lead, last = op.dims(left)
        flat = op.reshape(left, [op.product(*lead), last])
        product = op.Gemm(flat, b, None, alpha=alpha, transB=1)
        return op.reshape(product, [*lead, op.dims(b)[0]])
    product = left @ _turned(op, b, transb, transbatchb)
    return product if alpha == 1.0 else product * alpha


def _turned(op: Op, x: Tensor, swap: int, batch: int) -> Tensor:
    """A stack of matrices whose rows lie before the batch, and whose last axes are swapped."""
    rank = op.rank(x)
    if batch:
        x = op.Transpose(x, perm=[*range(1, rank - 1), 0, rank - 1])
    return op.swap_last_two(x) if swap and rank > 1 else x


@body("FusedGemm", domain=DOMAIN, kink="those of its activation")
def fused_gemm(
    op: Op,
    a: Tensor,
    b: Tensor,
    c: Tensor | None,
    *,
    activation: str | None,
    activation_alpha: float | None,
    activation_beta: float | None,
    activation_gamma: float | None,
    **scaling: Any,
) -> Tensor:
    product = op.Gemm(a, b, c, **scaling)
    second = activation_gamma if activation == "Selu" else activation_beta
    return _activated(op, product, activation, activation_alpha, second)


@body("FusedConv", domain=DOMAIN, kink="those of its activation")
def fused_conv(
    op: Op,
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    z: Tensor | None,
    *,
    activation: str | None,
    activation_params: Sequence[float] | None,
    **geometry: Any,
) -> Tensor:
    y = op.Conv(x, w, b, **geometry)
    return _activated(op, y if z is None else y + z, activation, *(activation_params or ()))
