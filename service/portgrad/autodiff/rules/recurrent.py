"""RNN and GRU (see `recurrence`). Throughout, h is the hidden state before a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.rules.activations import Activations, activations_of
from portgrad.autodiff.rules.recurrence import (
    COST,
    KINK,
    Slopes,
    Tensors,
    added_up,
    arriving,
    operands,
    sweep,
)
from portgrad.autodiff.rules.unrolled import Unrolled
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("RNN", kink=KINK, cost=COST)
def rnn(
    op: Op,
    ct: Tensor,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    sequence_lens: Tensor | None,
    initial_h: Tensor | None,
    *,
    y: Tensor,
    ct_y: Tensor | None,
    ct_y_h: Tensor | None,
    activations: Sequence[Any],
    activation_alpha: Sequence[float] | None,
    activation_beta: Sequence[float] | None,
    clip: float | None,
    direction: str,
    layout: int,
) -> list[Any]:
    u = Unrolled(op, x, w, r, b, sequence_lens, direction=direction, layout=layout)
    given = (activations, activation_alpha, activation_beta, clip)
    [f] = activations_of(*given, defaults=["Tanh"], directions=u.directions)
    hidden = u.sequence(y)
    h = u.before(hidden, u.state(initial_h))
    slopes = Slopes(u.running(f.slope(op, added_up(u, h), hidden)), [0], [u.frozen()])
    swept = sweep(u, slopes, ct_y, [u.ct_final(ct_y_h)])
    ct_r = u.ct_weight(swept.gates, h)
    return operands(u, swept.initial, swept.gates, swept.gates, ct_r)


@vjp("GRU", kink=KINK, cost=COST)
def gru(
    op: Op,
    ct: Tensor,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    sequence_lens: Tensor | None,
    initial_h: Tensor | None,
    *,
    y: Tensor,
    ct_y: Tensor | None,
    ct_y_h: Tensor | None,
    activations: Sequence[Any] | None,
    activation_alpha: Sequence[float] | None,
    activation_beta: Sequence[float] | None,
    clip: float | None,
    direction: str,
    layout: int,
    linear_before_reset: int,
) -> list[Any]:
    u = Unrolled(op, x, w, r, b, sequence_lens, direction=direction, layout=layout)
    given = (activations, activation_alpha, activation_beta, clip)
    f, g = activations_of(*given, defaults=["Sigmoid", "Tanh"], directions=u.directions)
    h = u.before(u.sequence(y), u.state(initial_h))
    reset = _reset_after if linear_before_reset else _reset_before
    return reset(u, f, g, h, ct_y, u.ct_final(ct_y_h))


def _reset_after(
    u: Unrolled, f: Activations, g: Activations, h: Tensor, ct_y: Tensor | None, ct_last: Tensor
) -> list[Any]:
    """The candidate is g(a + r q): r scales q, the product of h with R and its bias."""
    op, biases = u.op, u.biases()
    of_x, of_h = u.project(u.x, u.w), u.project(h, u.r)
    if biases is not None:
        of_x, of_h = of_x + biases[0], of_h + biases[1]
    (a_z, a_r, a_n), (b_z, b_r, q) = u.gates(of_x, 3), u.gates(of_h, 3)
    r = f.value(op, a_r + b_r)
    z, to_z, to_n = _update(u, f, g, h, a_z + b_z, a_n + r * q)
    to_r = to_n * q * f.slope(op, a_r + b_r, r)
    together = op.Concat(to_z, to_r, to_n * r, axis=3)
    slopes = Slopes(u.running(together), [0, 0, 0], [u.running(z, 1.0)])
    swept = sweep(u, slopes, ct_y, [ct_last])
    ct_z, ct_r, _ = u.gates(swept.gates, 3)
    ct_x = op.Concat(ct_z, ct_r, swept.hidden * u.running(to_n), axis=3)
    return operands(u, swept.initial, ct_x, swept.gates, u.ct_weight(swept.gates, h))


def _reset_before(
    u: Unrolled, f: Activations, g: Activations, h: Tensor, ct_y: Tensor | None, ct_last: Tensor
) -> list[Any]:
    """The candidate is g of a product with r h: a second product in each step.

    It takes R apart, so that the runtime holds R once more.
    """
    op, biases = u.op, u.biases()
    sizes = u.op.vector([u.op.product(2, u.hidden), u.hidden])
    first, last = op.split(u.r, sizes, 1, 2)
    of_x = u.project(u.x, u.w)
    if biases is not None:
        of_x = of_x + (biases[0] + biases[1])
    a_z, a_r, a_n = u.gates(of_x, 3)
    b_z, b_r = u.gates(u.project(h, first), 2)
    r = f.value(op, a_r + b_r)
    z, to_z, to_n = _update(u, f, g, h, a_z + b_z, a_n + u.project(r * h, last))
    to_r = h * f.slope(op, a_r + b_r, r)
    read = [u.running(to_z), to_r, u.running(to_n), r, u.running(z, 1.0)]
    arrived = arriving(u, ct_y)

    def step(op: Any, states: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
        to_z, to_r, to_n, r, kept, *arrived = slices
        [ct] = states
        for more in arrived:
            ct = ct + more
        ct_n = ct * to_n
        ct_rh = op.MatMul(ct_n, last)
        ct_zr = op.Concat(ct * to_z, ct_rh * to_r, axis=-1)
        return [op.MatMul(ct_zr, first) + ct_rh * r + ct * kept], [ct_zr, ct_n]

    read = read if arrived is None else [*read, arrived]
    initial, (ct_zr, ct_n) = op.scan(step, [ct_last], read, backwards=True)
    ct_gates = op.Concat(ct_zr, ct_n, axis=3)
    ct_weight = op.Concat(u.ct_weight(ct_zr, h), u.ct_weight(ct_n, r * h), axis=-2)
    return operands(u, initial, ct_gates, ct_gates, ct_weight)


def _update(
    u: Unrolled, f: Activations, g: Activations, h: Tensor, a_z: Tensor, a_n: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gate z of (1 - z) n + z h, and the slopes of that in what z and n are functions of."""
    z, n = f.value(u.op, a_z), g.value(u.op, a_n)
    return z, (h - n) * f.slope(u.op, a_z, z), (1.0 - z) * g.slope(u.op, a_n, n)
