"""LSTM (see `recurrence`).

    i = f(a_i + P_i c')    forget = f(a_f + P_f c'), or 1 - i if input_forget
    c = forget c' + i g(a_g)
    o = f(a_o + P_o c)     hidden state = o h(c)

where c' is the cell state before a step. Cotangents of the hidden state reach c and a_o, those of
c everything else. Of large nodes gates and cell states are given out (see `lstm_steps`); of others
they are computed again here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from portgrad.autodiff.registry import vjp
from portgrad.autodiff.remembering import KEPT
from portgrad.autodiff.rules.activations import Activations, activations_of
from portgrad.autodiff.rules.lstm_steps import cotangents
from portgrad.autodiff.rules.recurrence import (
    COST,
    KINK,
    Slopes,
    Tensors,
    added_up,
    operands,
    sweep,
)
from portgrad.autodiff.rules.unrolled import Unrolled
from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


@vjp("LSTM", kink=KINK, cost=COST)
def lstm(
    op: Op,
    ct: Tensor,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    sequence_lens: Tensor | None,
    initial_h: Tensor | None,
    initial_c: Tensor | None,
    p: Tensor | None,
    *,
    y: Tensor,
    ct_y: Tensor | None,
    ct_y_h: Tensor | None,
    ct_y_c: Tensor | None,
    activations: Sequence[Any] | None,
    activation_alpha: Sequence[float] | None,
    activation_beta: Sequence[float] | None,
    clip: float | None,
    direction: str,
    input_forget: int,
    layout: int,
    node: ir.Node,
) -> list[Any]:
    if KEPT in node.meta:
        return cotangents(op, x, b, node.meta[KEPT], [ct_y, ct_y_h, ct_y_c])
    u = Unrolled(op, x, w, r, b, sequence_lens, direction=direction, layout=layout)
    given = (activations, activation_alpha, activation_beta, clip)
    f, g, h = activations_of(*given, defaults=["Sigmoid", "Tanh", "Tanh"], directions=u.directions)
    hidden = u.before(u.sequence(y), u.state(initial_h))
    peepholes = None if p is None else u.gates(op.unsqueeze(p, 1), 3)
    cell = Cell(u, f, g, h, peepholes, coupled=bool(input_forget))
    gates, initial = u.gates(added_up(u, hidden), 4), u.state(initial_c)
    after = cell.states(gates, initial)
    before = u.before(after, initial)
    last = [u.ct_final(ct_y_h), u.ct_final(ct_y_c)]
    swept = sweep(u, cell.slopes(gates, before, after), ct_y, last)
    ct_r = u.ct_weight(swept.gates, hidden)
    ct_p = None if p is None else _ct_p(u, swept.gates, before, after)
    return [*operands(u, swept.initial, swept.gates, swept.gates, ct_r), ct_p]


@dataclass(frozen=True)
class Cell:
    """The functions of the formulas above.

    Attributes:
        u: the operands.
        f: of the gates.
        g: of what comes into the cell.
        h: of the cell state.
        peepholes: P_i, P_o and P_f, each (D, 1, hidden), or None.
        coupled: whether forget is 1 - i.
    """

    u: Unrolled
    f: Activations
    g: Activations
    h: Activations
    peepholes: Sequence[Tensor] | None
    coupled: bool

    def states(self, gates: Tensors, initial: Tensor) -> Tensor:
        """The cell state after each step, from what is added up in the gates."""
        u, (a_i, _, a_f, a_g) = self.u, gates
        if self.peepholes is None:
            # Without peepholes the gates of all steps are found at once.
            i, forget = self._in_and_forget(u.op, a_i, a_f, initial)
            read = [u.running(forget, 1.0), u.running(i * self.g.value(u.op, a_g))]
            return u.op.scan(_carry, [initial], read)[1][0]
        alive = [] if u.alive is None else [u.alive]
        return u.op.scan(self._step, [initial], [a_i, a_f, a_g, *alive])[1][0]

    def slopes(self, gates: Tensors, before: Tensor, after: Tensor) -> Slopes:
        """The slopes of all steps, from the cell states before and after each."""
        u, op, (a_i, a_o, a_f, a_g) = self.u, self.u.op, gates
        x_i, x_f = self._peep(a_i, 0, before), self._peep(a_f, 2, before)
        x_o, g = self._peep(a_o, 1, after), self.g.value(op, a_g)
        i, forget = self._in_and_forget(op, a_i, a_f, before)
        o, squashed = self.f.value(op, x_o), self.h.value(op, after)
        to_i = (g - before if self.coupled else g) * self.f.slope(op, x_i, i)
        to_f = before * self.f.slope(op, x_f, forget)
        if self.coupled:
            to_f = op.zeros_like(to_i)
        to_o = squashed * self.f.slope(op, x_o, o)
        to_g = i * self.g.slope(op, a_g, g)
        inwards = self._peep(o * self.h.slope(op, after, squashed), 1, to_o)
        kept = self._peep(self._peep(forget, 0, to_i), 2, to_f)
        together = u.running(op.Concat(to_i, to_o, to_f, to_g, axis=3))
        straight = [u.frozen(), u.running(kept, 1.0)]
        return Slopes(together, [1, 0, 1, 1], straight, u.running(inwards))

    def step(
        self, op: Any, c: Tensor, a_i: Tensor, a_o: Tensor, a_f: Tensor, a_g: Tensor
    ) -> list[Tensor]:
        """The hidden state and the cell state after one step."""
        new = self._after(op, c, a_i, a_f, a_g)
        o = self.f.value(op, self._peep(a_o, 1, new))
        return [o * self.h.value(op, new), new]

    def _after(self, op: Any, c: Tensor, a_i: Tensor, a_f: Tensor, a_g: Tensor) -> Tensor:
        i, forget = self._in_and_forget(op, a_i, a_f, c)
        return forget * c + i * self.g.value(op, a_g)

    def _step(self, op: Any, states: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
        [c], (a_i, a_f, a_g, *alive) = states, slices
        new = self._after(op, c, a_i, a_f, a_g)
        for still in alive:
            new = op.Where(still, new, c)
        return [new], [new]

    def _in_and_forget(self, op: Any, a_i: Tensor, a_f: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i = self.f.value(op, self._peep(a_i, 0, c))
        if self.coupled:
            return i, 1.0 - i
        return i, self.f.value(op, self._peep(a_f, 2, c))

    def _peep(self, x: Tensor, gate: int, through: Tensor) -> Tensor:
        """X, with what comes through a gate's peephole."""
        return x if self.peepholes is None else x + through * self.peepholes[gate]


def _carry(op: Any, states: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
    [c], (forget, new) = states, slices
    after = forget * c + new
    return [after], [after]


def _ct_p(u: Unrolled, ct_gates: Tensor, before: Tensor, after: Tensor) -> Tensor:
    ct_i, ct_o, ct_f, _ = u.gates(ct_gates, 4)
    products = u.op.Concat(ct_i * before, ct_o * after, ct_f * before, axis=3)
    return u.total(products)
