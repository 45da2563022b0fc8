"""RNN, GRU and LSTM: the products with X for all steps at once, the recurrence in a scan.

The runtime has double kernels of GRU and LSTM that refuse to run. Arrays are as in
`rules.unrolled`; the formulas are those of `rules.recurrent` and `rules.lstm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portgrad.autodiff.registry import double_body
from portgrad.autodiff.rules.activations import activations_of
from portgrad.autodiff.rules.lstm import Cell
from portgrad.autodiff.rules.unrolled import Unrolled
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op
from portgrad.autodiff.vocabulary.recurrences import Tensors

Floats = Sequence[float] | None


@double_body("RNN", instead=True)
def rnn(
    op: Op,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    sequence_lens: Tensor | None,
    initial_h: Tensor | None,
    *,
    activations: Sequence[Any],
    activation_alpha: Floats,
    activation_beta: Floats,
    clip: float | None,
    direction: str,
    layout: int,
) -> list[Tensor]:
    u = Unrolled(op, x, w, r, b, sequence_lens, direction=direction, layout=layout)
    given = (activations, activation_alpha, activation_beta, clip)
    [f] = activations_of(*given, defaults=["Tanh"], directions=u.directions)
    of_x, of_h = _bias_of_both(u)

    def step(op: Any, states: Tensors, a: Tensor) -> list[Tensor]:
        return [f.value(op, a + op.MatMul(states[0], of_h))]

    return _run(u, step, [u.state(initial_h)], of_x)


@double_body("GRU", instead=True)
def gru(
    op: Op,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    sequence_lens: Tensor | None,
    initial_h: Tensor | None,
    *,
    activations: Sequence[Any] | None,
    activation_alpha: Floats,
    activation_beta: Floats,
    clip: float | None,
    direction: str,
    layout: int,
    linear_before_reset: int,
) -> list[Tensor]:
    u = Unrolled(op, x, w, r, b, sequence_lens, direction=direction, layout=layout)
    given = (activations, activation_alpha, activation_beta, clip)
    f, g = activations_of(*given, defaults=["Sigmoid", "Tanh"], directions=u.directions)
    of_x, biases = u.project(u.x, u.w), u.biases()
    sizes = op.vector([op.product(2, u.hidden), u.hidden])
    of_gates, of_candidate = (op.swap_last_two(part) for part in op.split(r, sizes, 1, 2))
    after = None  # the bias that is added behind the product with R, where the reset comes last
    if biases is not None:
        of_x = of_x + biases[0]
        for_gates, after = op.split(biases[1], sizes, 2, 2)
        nothing = after if not linear_before_reset else op.zeros_like(after)
        of_x = of_x + op.Concat(for_gates, nothing, axis=2)

    def step(op: Any, states: Tensors, a: Tensor) -> list[Tensor]:
        [h] = states
        a_z, a_r, a_n = _parts(op, a, u, 3)
        b_z, b_r = _parts(op, op.MatMul(h, of_gates), u, 2)
        z, r = f.value(op, a_z + b_z), f.value(op, a_r + b_r)
        if linear_before_reset:
            product = op.MatMul(h, of_candidate)
            a_n = a_n + r * (product if after is None else product + after)
        else:
            a_n = a_n + op.MatMul(r * h, of_candidate)
        return [(1.0 - z) * g.value(op, a_n) + z * h]

    return _run(u, step, [u.state(initial_h)], of_x)


@double_body("LSTM", instead=True)
def lstm(
    op: Op,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    sequence_lens: Tensor | None,
    initial_h: Tensor | None,
    initial_c: Tensor | None,
    p: Tensor | None,
    *,
    activations: Sequence[Any] | None,
    activation_alpha: Floats,
    activation_beta: Floats,
    clip: float | None,
    direction: str,
    input_forget: int,
    layout: int,
) -> list[Tensor]:
    u = Unrolled(op, x, w, r, b, sequence_lens, direction=direction, layout=layout)
    given = (activations, activation_alpha, activation_beta, clip)
    f, g, h = activations_of(*given, defaults=["Sigmoid", "Tanh", "Tanh"], directions=u.directions)
    peepholes = None if p is None else u.gates(op.unsqueeze(p, 1), 3)
    cell = Cell(u, f, g, h, peepholes, coupled=bool(input_forget))
    of_x, of_h = _bias_of_both(u)

    def step(op: Any, states: Tensors, a: Tensor) -> list[Tensor]:
        a_i, a_o, a_f, a_g = _parts(op, a + op.MatMul(states[0], of_h), u, 4)
        return cell.step(op, states[1], a_i, a_o, a_f, a_g)

    return _run(u, step, [u.state(initial_h), u.state(initial_c)], of_x)


def _bias_of_both(u: Unrolled) -> tuple[Tensor, Tensor]:
    """The products of X with W and all biases, for all steps; and R transposed."""
    of_x, biases = u.project(u.x, u.w), u.biases()
    if biases is not None:
        of_x = of_x + (biases[0] + biases[1])
    return of_x, u.op.swap_last_two(u.r)


def _parts(op: Op, x: Tensor, u: Unrolled, count: int) -> list[Tensor]:
    return op.split(x, op.vector([u.hidden] * count), op.rank(x) - 1, count)


def _run(u: Unrolled, step: Any, initial: list[Tensor], read: Tensor) -> list[Tensor]:
    """Y and the last states, in the operator's order."""
    alive = [] if u.alive is None else [u.alive]

    def masked(op: Any, states: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
        a, *going = slices
        new = [op.shaped_as(x, old) for x, old in zip(step(op, states, a), states, strict=True)]
        written = new[0]
        for still in going:  # an example that has ended keeps its state, and writes zeros
            written = op.Where(still, written, op.scalar(0.0, written))
            new = [op.Where(still, x, old) for x, old in zip(new, states, strict=True)]
            new = [op.shaped_as(x, old) for x, old in zip(new, states, strict=True)]
        return new, [written]

    last, [y] = u.op.scan(masked, initial, [read, *alive])
    return [u.in_order(y), *(u.ct_final(state) for state in last)]
