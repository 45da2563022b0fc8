"""Functions of single elements, and reductions."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
import torch.nn.functional as F  # noqa: N812

from support.torch_table.args import Args, Function, Result


def _unary(function: Callable[[torch.Tensor], torch.Tensor]) -> Function:
    return lambda a: function(a[0])


def _selu(a: Args) -> Result:
    alpha, gamma = a.alpha, a.gamma
    return gamma * F.elu(a[0], alpha)


def _shrink(a: Args) -> Result:
    x = a[0]
    if a.bias == 0.0:
        return F.hardshrink(x, a.lambd)
    return F.softshrink(x, a.lambd) if a.bias == a.lambd else _shrunk(x, a.lambd, a.bias)


def _shrunk(x: torch.Tensor, edge: float, bias: float) -> torch.Tensor:
    return torch.where(x < -edge, x + bias, torch.where(x > edge, x - bias, x * 0.0))


def _prelu(a: Args) -> Result:
    return torch.where(a[0] > 0.0, a[0], a[1] * a[0])


def _swiglu(a: Args) -> Result:
    return a[0] * torch.sigmoid(a.alpha * a[0]) * a[1]


def _mod(a: Args) -> Result:
    return torch.fmod(a[0], a[1]) if a.fmod else torch.remainder(a[0], a[1])


def _mean(a: Args) -> Result:
    return torch.stack(torch.broadcast_tensors(*_all(a))).mean(0)


def _all(a: Args) -> list[torch.Tensor]:
    return [a[i] for i in range(len(a))]


def _clip(a: Args) -> Result:
    return torch.clamp(a[0], a.get(1), a.get(2)) if a.has(1) or a.has(2) else a[0] * 1.0


ELEMENTWISE: dict[str, Function] = {
    "Abs": _unary(torch.abs),
    "Acos": _unary(torch.acos),
    "Acosh": _unary(torch.acosh),
    "Asin": _unary(torch.asin),
    "Asinh": _unary(torch.asinh),
    "Atan": _unary(torch.atan),
    "Atanh": _unary(torch.atanh),
    "Cos": _unary(torch.cos),
    "Cosh": _unary(torch.cosh),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "HardSwish": _unary(F.hardswish),
    "Identity": _unary(torch.clone),
    "Log": _unary(torch.log),
    "Mish": _unary(F.mish),
    "Neg": _unary(torch.neg),
    "Reciprocal": _unary(torch.reciprocal),
    "Relu": _unary(F.relu),
    "Sigmoid": _unary(torch.sigmoid),
    "Sin": _unary(torch.sin),
    "Sinh": _unary(torch.sinh),
    "Softplus": _unary(F.softplus),
    "Softsign": _unary(F.softsign),
    "Sqrt": _unary(torch.sqrt),
    "Tan": _unary(torch.tan),
    "Tanh": _unary(torch.tanh),
    "Celu": lambda a: F.celu(a[0], a.alpha),
    "Elu": lambda a: F.elu(a[0], a.alpha),
    "Gelu": lambda a: F.gelu(a[0], approximate=a.approximate),
    "HardSigmoid": lambda a: torch.clamp(a.alpha * a[0] + a.beta, 0.0, 1.0),
    "LeakyRelu": lambda a: F.leaky_relu(a[0], a.alpha),
    "Selu": _selu,
    "Shrink": _shrink,
    "Swish": lambda a: a[0] * torch.sigmoid(a.alpha * a[0]),
    "ThresholdedRelu": lambda a: F.threshold(a[0], a.alpha, 0.0),
    "PRelu": _prelu,
    "SwiGLU": _swiglu,
    "Clip": _clip,
    "Cast": lambda a: a[0].to(torch.float64),
    "CastLike": lambda a: a[0].to(a[1].dtype),
    "Dropout": _unary(lambda x: F.dropout(x, training=False) * 1.0),
    "Add": lambda a: a[0] + a[1],
    "Sub": lambda a: a[0] - a[1],
    "Mul": lambda a: a[0] * a[1],
    "Div": lambda a: a[0] / a[1],
    "Pow": lambda a: torch.pow(a[0], a[1]),
    "Mod": _mod,
    "Max": lambda a: reduce(torch.maximum, _all(a)) * 1.0,
    "Min": lambda a: reduce(torch.minimum, _all(a)) * 1.0,
    "Sum": lambda a: reduce(torch.add, _all(a)) * 1.0,
    "Mean": _mean,
    "Where": lambda a: torch.where(a[0], a[1], a[2]),
}


def _reduction(function: Callable[[torch.Tensor, list[int], bool], torch.Tensor]) -> Function:
    def call(a: Args) -> Result:
        axes = a.ints(1) if a.has(1) else []
        if not axes and a.noop_with_empty_axes:
            # What is summed is each element by itself.
            return function(a[0].unsqueeze(-1), [-1], False)
        if not a[0].ndim:
            return function(a[0].unsqueeze(-1), [0], False)
        return function(a[0], axes or list(range(a[0].ndim)), bool(a.keepdims))

    return call


def _product(x: torch.Tensor, axes: list[int], keep: bool) -> torch.Tensor:
    axes = [axis % x.ndim for axis in axes]
    for axis in axes:
        x = x.prod(axis, keepdim=True)
    return x if keep else x.squeeze(tuple(axes))


REDUCTIONS: dict[str, Function] = {
    "ReduceSum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "ReduceMean": _reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceMax": _reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "ReduceL1": _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 1, axes, keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: x.square().sum(axes, keepdim=keep)),
    "ReduceLogSum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep).log()),
    "ReduceLogSumExp": _reduction(lambda x, axes, keep: x.logsumexp(axes, keepdim=keep)),
    "ReduceProd": _reduction(_product),
}


def _cumulative(function: Callable[..., torch.Tensor], start: float) -> Function:
    def call(a: Args) -> Result:
        axis = a.ints(1)[0] % a[0].ndim
        x = a[0].flip(axis) if a.reverse else a[0]
        if a.exclusive:
            first = torch.full_like(x.narrow(axis, 0, 1), start)
            x = torch.cat([first, x.narrow(axis, 0, x.shape[axis] - 1)], axis)
        y = function(x, axis)
        return y.flip(axis) if a.reverse else y

    return call


def _lp_normalization(a: Args) -> Result:
    return F.normalize(a[0], p=a.p, dim=a.axis)


def _nll(a: Args, log_p: torch.Tensor) -> torch.Tensor:
    ignored = -100 if a.ignore_index is None else a.ignore_index
    return F.nll_loss(log_p, a[1].long(), a.get(2), ignore_index=ignored, reduction=a.reduction)


def _cross_entropy(a: Args) -> Result:
    log_p = F.log_softmax(a[0], 1)
    return _nll(a, log_p), log_p


SOFT: dict[str, Function] = {
    "CumSum": _cumulative(torch.cumsum, 0.0),
    "CumProd": _cumulative(torch.cumprod, 1.0),
    "Softmax": lambda a: F.softmax(a[0], a.axis),
    "LogSoftmax": lambda a: F.log_softmax(a[0], a.axis),
    "LpNormalization": _lp_normalization,
    "NegativeLogLikelihoodLoss": lambda a: _nll(a, a[0]),
    "SoftmaxCrossEntropyLoss": _cross_entropy,
}
