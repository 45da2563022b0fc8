"""RNN, GRU and LSTM in NumPy, any dtype and every option, one step and one example at a time.

onnxruntime has no double kernel that runs, and the reference evaluator knows few of the options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

Array = np.ndarray
Activation = Callable[[Array], Array]

# What consumes a number of `activation_alpha` or `activation_beta`, and onnxruntime's defaults.
ALPHA = {
    "affine": 0.0,
    "leakyrelu": float(np.float32(0.01)),
    "thresholdedrelu": 0.0,
    "scaledtanh": 0.0,
    "hardsigmoid": float(np.float32(0.2)),
    "elu": 1.0,
}
BETA = {"affine": 0.0, "scaledtanh": 0.0, "hardsigmoid": 0.5}
FUNCTIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "relu": lambda x, a, b: np.maximum(x, 0),
    "tanh": lambda x, a, b: np.tanh(x),
    "sigmoid": lambda x, a, b: 1 / (1 + np.exp(-x)),
    "affine": lambda x, a, b: a * x + b,
    "leakyrelu": lambda x, a, b: np.where(x >= 0, x, a * x),
    "thresholdedrelu": lambda x, a, b: np.where(x > a, x, 0),
    "scaledtanh": lambda x, a, b: a * np.tanh(b * x),
    "hardsigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "elu": lambda x, a, b: np.where(x >= 0, x, a * (np.exp(x) - 1)),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "softplus": lambda x, a, b: np.log1p(np.exp(x)),
}


def _activations(names: Sequence[str], alphas: Any, betas: Any) -> list[Activation]:
    given_alpha, given_beta = iter(alphas or ()), iter(betas or ())

    def made(name: str) -> Activation:
        alpha = next(given_alpha, ALPHA[name]) if name in ALPHA else 0.0
        beta = next(given_beta, BETA[name]) if name in BETA else 0.0
        return lambda x: FUNCTIONS[name](x, alpha, beta).astype(x.dtype)

    return [made(name.lower()) for name in names]


def _clipped(function: Activation, clip: float | None) -> Activation:
    return (lambda x: function(np.clip(x, -clip, clip))) if clip else function


class Recurrent(OpRun):
    """What the three have in common; `step` is what differs."""

    op_domain = ""
    gates: int
    per_direction: tuple[str, ...]

    def _run(self, x, w, r, b=None, lens=None, *states, **attributes):  # type: ignore[no-untyped-def]
        if attributes["layout"]:
            x = x.swapaxes(0, 1)
            states = (*(s.swapaxes(0, 1) if s is not None else s for s in states[:2]), *states[2:])
        results = self._run_directions((x, w, r, b, lens), states, attributes)
        y, *last = (np.stack(part, -3) for part in zip(*results, strict=True))
        if attributes["layout"]:
            y, last = y.transpose(2, 0, 1, 3), [s.swapaxes(0, 1) for s in last]
        asked = len(self.onnx_node.output)
        return tuple(np.ascontiguousarray(part) for part in (y, *last)[:asked])

    def _run_directions(self, operands, states, attributes) -> Iterator[list[Array]]:  # type: ignore[no-untyped-def]
        x, w, r, b, lens = operands
        ways = {"forward": [0], "reverse": [1], "bidirectional": [0, 1]}[attributes["direction"]]
        names = attributes["activations"] or self.per_direction * len(ways)
        functions = _activations(
            names, *(attributes[k] for k in ("activation_alpha", "activation_beta"))
        )
        many, each = r.shape[-1], len(self.per_direction)
        bias = np.zeros((len(ways), 2 * self.gates * many), x.dtype) if b is None else b
        for d, backwards in enumerate(ways):
            given = [None if s is None else s[d] for s in states]
            step = self.stepper(w[d], r[d], bias[d], functions[d * each :][:each], attributes)
            lengths = np.full(x.shape[1], len(x)) if lens is None else lens
            order = [range(n)[::-1] if backwards else range(n) for n in lengths]
            yield self._direction(x, step, given, order, many)

    def _direction(self, x, step, given, order, many) -> list[Array]:  # type: ignore[no-untyped-def]
        time, batch = x.shape[:2]
        y = np.zeros((time, batch, many), x.dtype)
        finals: list[list[Array]] = []
        peepholes = given[2] if len(given) > 2 and given[2] is not None else np.zeros(3 * many)
        for n, steps in enumerate(order):
            starts = [*given, None, None][: 2 if isinstance(self, LSTM) else 1]
            state = [np.zeros(many, x.dtype) if s is None else s[n] for s in starts]
            for t in steps:
                state = step(x[t, n], state, peepholes)
                y[t, n] = state[0]
            # onnxruntime gives zeros where there is no step.
            finals.append(state if steps else [np.zeros_like(part) for part in state])
        return [y, *(np.stack(part) for part in zip(*finals, strict=True))]

    def stepper(self, w, r, bias, functions, attributes):  # type: ignore[no-untyped-def]
        """A function from a slice of X, the states and the peepholes to the new states."""
        raise NotImplementedError


class RNN(Recurrent):
    """Ht = f(Xt W' + Ht-1 R' + Wb + Rb)."""

    gates, per_direction = 1, ("Tanh",)

    def stepper(self, w, r, bias, functions, attributes):  # type: ignore[no-untyped-def]
        [f] = (_clipped(function, attributes["clip"]) for function in functions)
        wb, rb = np.split(bias, 2)
        return lambda x, state, _: [f(w @ x + r @ state[0] + wb + rb)]


class GRU(Recurrent):
    """Gates z, r, h."""

    gates, per_direction = 3, ("Sigmoid", "Tanh")

    def stepper(self, w, r, bias, functions, attributes):  # type: ignore[no-untyped-def]
        f, g = (_clipped(function, attributes["clip"]) for function in functions)
        (wz, wr, wh), (rz, rr, rh) = np.split(w, 3), np.split(r, 3)
        bz, br, bh, cz, cr, ch = np.split(bias, 6)

        def step(x: Array, state: list[Array], _: Array) -> list[Array]:
            [h] = state
            z, reset = f(wz @ x + rz @ h + bz + cz), f(wr @ x + rr @ h + br + cr)
            if attributes["linear_before_reset"]:
                new = g(wh @ x + bh + reset * (rh @ h + ch))
            else:
                new = g(wh @ x + bh + rh @ (reset * h) + ch)
            return [(1 - z) * new + z * h]

        return step


class LSTM(Recurrent):
    """Gates i, o, f, c; peepholes i, o, f."""

    gates, per_direction = 4, ("Sigmoid", "Tanh", "Tanh")

    def stepper(self, w, r, bias, functions, attributes):  # type: ignore[no-untyped-def]
        f, g = (_clipped(function, attributes["clip"]) for function in functions[:2])
        h = functions[2]  # of the cell state, which is not clipped
        wb, rb = np.split(bias, 2)

        def step(x: Array, state: list[Array], peepholes: Array) -> list[Array]:
            hidden, cell = state
            i, o, forget, c = np.split(w @ x + r @ hidden + wb + rb, 4)
            pi, po, pf = np.split(peepholes.astype(x.dtype), 3)
            i = f(i + pi * cell)
            forget = 1 - i if attributes["input_forget"] else f(forget + pf * cell)
            new = forget * cell + i * g(c)
            return [f(o + po * new) * h(new), new]

        return step
