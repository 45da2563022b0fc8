"""What the rules of RNN, GRU and LSTM share: cotangents from the last step to the first.

Given the hidden states, which are the output Y, what is added up in the gates of all steps is one
product. The rest of a step is a function of each element alone, so its slopes too are found for
all steps at once. What is left to a scan is the recurrence of cotangents: one product and a few
multiplications by slopes for each step. Cotangents of weights are again products over all steps.

The forward node stays as it is: the runtime's kernel is faster than any graph, and the outputs of
a net do not depend on whether a gradient is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portgrad.autodiff.rules.unrolled import Unrolled
from portgrad.autodiff.tensor import Tensor

Tensors = Sequence[Tensor]
KINK = "those of its activations; 0 at both ends of clip"
COST = "each step backwards is one product; all else is done for all steps at once"


@dataclass(frozen=True)
class Slopes:
    """How cotangents go through one step, for all steps: each broadcasts to (T, D, N, size).

    Attributes:
        gates: from the state that drives each gate to what is added up in the gate.
        drivers: the number of that state for each gate.
        kept: from each new state straight to the old one; None where nothing goes there.
        inwards: from the new hidden state to the new cell state, None without a cell.
    """

    gates: Tensor
    drivers: Sequence[int]
    kept: Sequence[Tensor | None]
    inwards: Tensor | None = None


@dataclass(frozen=True)
class Swept:
    """Cotangents of all steps.

    Attributes:
        initial: of the initial states.
        gates: of what is added up in the gates, (T, D, N, gates * hidden).
        hidden: of the hidden state after each step, (T, D, N, hidden).
    """

    initial: Tensors
    gates: Tensor
    hidden: Tensor


def sweep(u: Unrolled, slopes: Slopes, ct_y: Tensor | None, ct_last: Tensors) -> Swept:
    """Cotangents from the last step to the first.

    Args:
        u: the operands.
        slopes: of all steps.
        ct_y: the cotangent of Y in the operator's order, None where none arrived.
        ct_last: the cotangents of the states after the last step.
    """
    optional = [arriving(u, ct_y), slopes.inwards, *slopes.kept]
    read = [slopes.gates, *(x for x in optional if x is not None)]

    def step(op: Any, states: Tensors, slices: Tensors) -> tuple[Tensors, Tensors]:
        present = iter(slices[1:])
        arrived, inwards, *kept = (None if x is None else next(present) for x in optional)
        cts = list(states)
        if arrived is not None:
            cts[0] = cts[0] + arrived
        if inwards is not None:
            cts[1] = cts[1] + cts[0] * inwards
        gates = op.Concat(*(cts[k] for k in slopes.drivers), axis=-1) * slices[0]
        before = [None if k is None else ct * k for ct, k in zip(cts, kept, strict=True)]
        through = op.MatMul(gates, u.r)
        hidden = through if before[0] is None else through + before[0]
        return [hidden, *(x for x in before[1:] if x is not None)], [gates, cts[0]]

    initial, (gates, hidden) = u.op.scan(step, ct_last, read, backwards=True)
    return Swept(initial, gates, hidden)


def arriving(u: Unrolled, ct_y: Tensor | None) -> Tensor | None:
    """The cotangent of Y by step. Once an example has ended, Y is 0 whatever its state."""
    return None if ct_y is None else u.running(u.sequence(ct_y))


def operands(u: Unrolled, initial: Tensors, ct_x: Tensor, ct_h: Tensor, ct_r: Tensor) -> list[Any]:
    """Cotangents of X, W, R, B, sequence_lens and the initial states.

    Args:
        u: the operands.
        initial: cotangents of the initial states.
        ct_x: the cotangent of the products of X with W.
        ct_h: that of the products of the hidden state with R.
        ct_r: that of R.
    """
    return [
        u.ct_x(u.project_back(ct_x, u.w)),
        u.ct_weight(ct_x, u.x),
        ct_r,
        None if u.b is None else u.ct_b(ct_x, ct_h),
        None,
        *(u.state(ct) for ct in initial),
    ]


def added_up(u: Unrolled, before: Tensor) -> Tensor:
    """What the gates are functions of, (T, D, N, gates * hidden), from the states before steps."""
    total = u.project(u.x, u.w) + u.project(before, u.r)
    biases = u.biases()
    return total if biases is None else total + (biases[0] + biases[1])
