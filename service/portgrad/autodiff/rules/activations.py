"""The activations of RNN, GRU and LSTM: their values and, from the rules of unary, their slopes.

A parameter that the net leaves out is what onnxruntime takes: for Affine, ScaledTanh and
ThresholdedRelu it is 0, where the operators of these names have other defaults or none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from portgrad.autodiff.rules import unary
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.errors import Unsupported

_ALPHA = {
    "affine": 0.0,
    "elu": 1.0,
    "hardsigmoid": float(np.float32(0.2)),  # as attributes have it
    "leakyrelu": float(np.float32(0.01)),
    "scaledtanh": 0.0,
    "thresholdedrelu": 0.0,
}
_BETA = {"affine": 0.0, "hardsigmoid": 0.5, "scaledtanh": 0.0}
# Each with its operator and the slope of that; Affine and ScaledTanh have none.
_OPERATORS: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "elu": ("Elu", unary.elu),
    "hardsigmoid": ("HardSigmoid", unary.hard_sigmoid),
    "leakyrelu": ("LeakyRelu", unary.leaky_relu),
    "relu": ("Relu", unary.relu),
    "sigmoid": ("Sigmoid", unary.sigmoid),
    "softplus": ("Softplus", unary.softplus),
    "softsign": ("Softsign", unary.softsign),
    "tanh": ("Tanh", unary.tanh),
    "thresholdedrelu": ("ThresholdedRelu", unary.thresholded_relu),
}
_NAMES = {*_OPERATORS, "affine", "scaledtanh"}


@dataclass(frozen=True)
class Activation:
    """One function.

    Attributes:
        name: in lower case.
        alpha: its first parameter, 0 where it has none.
        beta: its second one.
        clip: the bound of what it is applied to, None without one.
    """

    name: str
    alpha: float
    beta: float
    clip: float | None

    def value(self, op: Op, x: Tensor) -> Tensor:
        """The function of x."""
        x = self._clipped(op, x)
        if self.name == "affine":
            return x * self.alpha + self.beta
        if self.name == "scaledtanh":
            return op.Tanh(x * self.beta) * self.alpha
        given = {"alpha": self.alpha if self.name in _ALPHA else None}
        given["beta"] = self.beta if self.name in _BETA else None
        result: Tensor = getattr(op, _OPERATORS[self.name][0])(x, **given)
        return result

    def slope(self, op: Op, x: Tensor, y: Tensor) -> Tensor:
        """Its derivative at x, where its value is y; 0 at the bound of the clip."""
        slope = self._slope(op, self._clipped(op, x), y)
        if self.clip is None:
            return slope
        return slope * op.mask(op.And(x > -self.clip, x < self.clip), x)

    def _slope(self, op: Op, x: Tensor, y: Tensor) -> Tensor:
        if self.name == "affine":
            return op.full_like(x, self.alpha)
        if self.name == "scaledtanh":
            t = op.Tanh(x * self.beta)
            return (1.0 - t * t) * (self.alpha * self.beta)
        _, rule = _OPERATORS[self.name]
        asked = inspect.signature(rule).parameters
        given = {"y": y, "alpha": self.alpha}
        return rule(op, x, **{name: given[name] for name in given if name in asked})

    def _clipped(self, op: Op, x: Tensor) -> Tensor:
        return x if self.clip is None else op.Clip(x, -self.clip, self.clip)


@dataclass(frozen=True)
class Activations:
    """The functions of one gate, one for each direction: axis -3 of what they are applied to."""

    directions: tuple[Activation, ...]

    def value(self, op: Op, x: Tensor) -> Tensor:
        """The functions of x."""
        return self._each(op, lambda f, part: f.value(op, part), x)

    def slope(self, op: Op, x: Tensor, y: Tensor) -> Tensor:
        """Their derivatives at x, where their values are y."""
        return self._each(op, lambda f, *parts: f.slope(op, *parts), x, y)

    def _each(self, op: Op, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        first, *others = self.directions
        if all(other == first for other in others):
            return function(first, *tensors)
        axis = op.rank(tensors[0]) - 3
        parts = zip(
            *(op.split(x, op.ints(1, 1), axis, len(self.directions)) for x in tensors), strict=True
        )
        done = [function(f, *part) for f, part in zip(self.directions, parts, strict=True)]
        return op.shaped_as(op.Concat(*done, axis=axis), tensors[0])


def activations_of(
    names: Sequence[str | bytes] | None,
    alphas: Sequence[float] | None,
    betas: Sequence[float] | None,
    clip: float | None,
    *,
    defaults: Sequence[str],
    directions: int,
) -> list[Activations]:
    """The functions of a node in the order of its schema (f, g, h).

    Args:
        names: its attribute `activations`, those of the first direction first.
        alphas: what its functions consume in turn.
        betas: the same for second parameters.
        clip: the bound of what is added up in its gates.
        defaults: the functions of one direction where the node names none.
        directions: how many directions it goes in.
    """
    each, made = len(defaults), []
    more_alphas, more_betas = iter(alphas or ()), iter(betas or ())
    for place, given in enumerate((names or [*defaults] * directions)[: each * directions]):
        name = (given if isinstance(given, str) else given.decode()).lower()
        if name not in _NAMES:
            raise Unsupported(f"its activation {name!r} is none of ONNX's")
        alpha = next(more_alphas, _ALPHA[name]) if name in _ALPHA else 0.0
        beta = next(more_betas, _BETA[name]) if name in _BETA else 0.0
        # LSTM's third function is of the cell state, which is not clipped.
        made.append(Activation(name, alpha, beta, (clip or None) if place % each < 2 else None))
    return [Activations(tuple(made[place::each])) for place in range(each)]
