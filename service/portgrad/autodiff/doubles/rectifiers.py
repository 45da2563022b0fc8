"""Rectifiers, kinked and smooth: see `portgrad.autodiff.rules.unary` for their slopes."""

from __future__ import annotations

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@double_body("LeakyRelu")
def leaky_relu(op: Op, x: Tensor, *, alpha: float) -> Tensor:
    return op.Where(op.Less(x, 0.0), x * alpha, x)


@double_body("PRelu")
def prelu(op: Op, x: Tensor, slope: Tensor) -> Tensor:
    return op.Where(op.Less(x, 0.0), x * slope, x)


@double_body("ThresholdedRelu")
def thresholded_relu(op: Op, x: Tensor, *, alpha: float) -> Tensor:
    return op.Where(x > alpha, x, op.scalar(0.0, x))


@double_body("Elu")
def elu(op: Op, x: Tensor, *, alpha: float) -> Tensor:
    return op.Where(x > 0.0, x, op.expm1(op.Min(x, 0.0)) * alpha)


@double_body("Celu")
def celu(op: Op, x: Tensor, *, alpha: float) -> Tensor:
    # It is this that is differentiated, as ONNX has no Celu of doubles: no Min, which ties at 0.
    beyond = x > 0.0
    return op.Where(beyond, x, op.expm1(op.Where(beyond, op.scalar(0.0, x), x) / alpha) * alpha)


@double_body("Selu")
def selu(op: Op, x: Tensor, *, alpha: float, gamma: float) -> Tensor:
    return op.Where(x > 0.0, x, op.expm1(op.Min(x, 0.0)) * alpha) * gamma


@double_body("HardSigmoid")
def hard_sigmoid(op: Op, x: Tensor, *, alpha: float, beta: float) -> Tensor:
    return op.Clip(x * alpha + beta, 0.0, 1.0)


@double_body("HardSwish")
def hard_swish(op: Op, x: Tensor) -> Tensor:
    return x * op.Clip(x / 6.0 + 0.5, 0.0, 1.0)


@double_body("Sigmoid", instead=True)  # the runtime's kernel is 0 from -37 down
def sigmoid(op: Op, x: Tensor) -> Tensor:
    return op.Reciprocal(op.Exp(-x) + 1.0)


@double_body("Softplus")
def softplus(op: Op, x: Tensor) -> Tensor:
    return op.Max(x, 0.0) + op.log1p(op.Exp(-op.Abs(x)))


@double_body("Softsign")
def softsign(op: Op, input: Tensor) -> Tensor:
    return input / (op.Abs(input) + 1.0)


@double_body("Mish")
def mish(op: Op, x: Tensor) -> Tensor:
    return x * op.Tanh(op.Softplus(x))


@double_body("Swish")
def swish(op: Op, x: Tensor, *, alpha: float) -> Tensor:
    return x * op.Sigmoid(x * alpha)


@double_body("Shrink", instead=True)  # the runtime's kernel computes in float32
def shrink(op: Op, input: Tensor, *, bias: float, lambd: float) -> Tensor:
    beyond = op.Where(op.Less(input, -lambd), input + bias, op.scalar(0.0, input))
    return op.Where(input > lambd, input - bias, beyond)
