"""A recurrent operator's tensors in the order in which its recurrence meets them, and products
over all of its steps at once.

Inside, sequences are (T, D, N, size) for T steps of D directions on N examples, and each direction
starts at index 0: what the operator reads backwards has been turned. States are (D, N, size).
"""

from __future__ import annotations

import functools

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.tensor import Tensor
from portgrad.autodiff.vocabulary import Vocabulary as Op


class Unrolled:
    """The operands that RNN, GRU and LSTM share.

    Args:
        op: the emitter.
        x: (T, N, inputs), or (N, T, inputs) in layout 1.
        w: (D, gates * hidden, inputs).
        r: (D, gates * hidden, hidden).
        b: (D, 2 * gates * hidden): of the products with W, then of those with R; None for zeros.
        lens: (N), the number of steps of each example; None if all take T.
        direction: forward, reverse or bidirectional.
        layout: whether the batch comes first.
    """

    def __init__(
        self,
        op: Op,
        x: Tensor,
        w: Tensor,
        r: Tensor,
        b: Tensor | None,
        lens: Tensor | None,
        *,
        direction: str,
        layout: int,
    ) -> None:
        self.op, self.w, self.r, self.b, self.layout = op, w, r, b, layout
        turned = {"forward": (False,), "reverse": (True,)}
        self._turned = turned.get(direction, (False, True))
        self._lens = None if lens is None else op.as_int64(lens)
        by_time = op.Transpose(x, perm=[1, 0, 2]) if layout else x
        self.time, self.batch, self.inputs = op.dims(by_time)
        self.directions = len(self._turned)
        self.hidden = op.dims(r)[2]
        self.x = self._read(by_time)

    # -- between the operator's order and this one ----------------------------------------------

    def _read(self, x: Tensor) -> Tensor:
        """X as each direction reads it. What lies behind an example's end may be anything."""
        x = self.running(self.op.unsqueeze(x, 1))
        return self.turn(self.op.Concat(*[x] * self.directions, axis=1))

    def ct_x(self, ct: Tensor) -> Tensor:
        """The cotangent of X from that of what the directions read."""
        total = self.op.reduce_sum(self.turn(ct), [1], keepdims=False)
        return self.op.Transpose(total, perm=[1, 0, 2]) if self.layout else total

    def sequence(self, y: Tensor) -> Tensor:
        """Y, or its cotangent."""
        if y.shape is None:  # an output that the net leaves out
            y.value.shape = ir.Shape([None] * 4)
        return self.turn(self.op.Transpose(y, perm=[1, 2, 0, 3]) if self.layout else y)

    def in_order(self, y: Tensor) -> Tensor:
        """Y as the operator gives it: the inverse of `sequence`."""
        y = self.turn(y)
        return self.op.Transpose(y, perm=[2, 0, 1, 3]) if self.layout else y

    def state(self, state: Tensor | None) -> Tensor:
        """A state from the operator's layout, zeros for None; and the way back."""
        if state is None:
            return self._zeros()
        return self.op.Transpose(state, perm=[1, 0, 2]) if self.layout else state

    def ct_final(self, ct: Tensor | None) -> Tensor:
        """A last state or its cotangent: onnxruntime gives zeros where there is no step."""
        if ct is None or self._lens is None:
            return self.state(ct)
        op, state = self.op, self.state(ct)
        begun = op.Greater(op.reshape(self._lens, [self.batch, 1]), 0)
        return op.shaped_as(op.Where(begun, state, op.scalar(0.0, state)), state)

    def turn(self, x: Tensor) -> Tensor:
        """The directions that go backwards the other way round; twice is x."""
        if not any(self._turned):
            return x
        parts = self.op.split(x, self.op.ints(1, 1), 1, 2) if self.directions == 2 else [x]
        *first, last = parts
        return self.op.shaped_as(self.op.Concat(*first, self._backwards(last), axis=1), x)

    def _backwards(self, x: Tensor) -> Tensor:
        if self._lens is None:
            return self.op.reverse(x, [0])
        turned = self.op.ReverseSequence(
            self.op.squeeze(x, 1), self._lens, time_axis=0, batch_axis=1
        )
        return self.op.unsqueeze(turned, 1)

    # -- the ends of sequences ------------------------------------------------------------------

    @functools.cached_property
    def alive(self) -> Tensor | None:
        """(T, 1, N, 1): whether an example still has a step; None where all have."""
        if self._lens is None:
            return None
        op = self.op
        steps = op.reshape(op.iota(op.vector([self.time])), [self.time, 1, 1, 1])
        return op.Less(steps, op.reshape(self._lens, [1, self.batch, 1]))

    def running(self, x: Tensor, otherwise: float = 0.0) -> Tensor:
        """X while an example has steps, another number afterwards."""
        if self.alive is None:
            return x
        return self.op.shaped_as(self.op.Where(self.alive, x, self.op.scalar(otherwise, x)), x)

    def frozen(self) -> Tensor | None:
        """1 once an example has no step left and its state stays; None where all have."""
        return None if self.alive is None else self.op.mask(self.op.Not(self.alive), self.x)

    def _zeros(self) -> Tensor:
        sizes = self.op.vector([self.directions, self.batch, self.hidden])
        return self.op.ConstantOfShape(sizes, value=np.zeros(1, self.x.dtype.numpy()))

    def before(self, states: Tensor, initial: Tensor) -> Tensor:
        """The state before each step, from that after each."""
        earlier = self.op.Slice(states, [0], [-1], [0])
        together = self.op.Concat(self.op.unsqueeze(initial, 0), earlier, axis=0)
        return self.op.shaped_as(together, states)

    # -- products over all steps ----------------------------------------------------------------

    def project(self, x: Tensor, weight: Tensor) -> Tensor:
        """X W': (T, D, N, k) and (D, m, k) to (T, D, N, m)."""
        # W is on the left so that it is not transposed, which would make a second copy of it.
        product = self.op.MatMul(weight, self.op.swap_last_two(self._rows(x)))
        return self._steps(self.op.swap_last_two(product), self.op.dims(weight)[1])

    def project_back(self, ct: Tensor, weight: Tensor) -> Tensor:
        """The cotangent of x in `project`."""
        return self._steps(self.op.MatMul(self._rows(ct), weight), self.op.dims(weight)[2])

    def ct_weight(self, ct: Tensor, x: Tensor) -> Tensor:
        """The cotangent of the weight in `project`; for each example where they stay apart."""
        if self.op.apart:
            by_example = [self.op.Transpose(each, perm=[2, 1, 0, 3]) for each in (ct, x)]
            return self.op.MatMul(self.op.swap_last_two(by_example[0]), by_example[1])
        return self.op.MatMul(self.op.swap_last_two(self._rows(ct)), self._rows(x))

    def _rows(self, x: Tensor) -> Tensor:
        """(T, D, N, k) as (D, T N, k)."""
        size = self.op.dims(x)[3]
        x = x if self.directions == 1 else self.op.Transpose(x, perm=[1, 0, 2, 3])
        return self.op.reshape(x, [self.directions, self.op.product(self.time, self.batch), size])

    def _steps(self, rows: Tensor, size: int | Tensor) -> Tensor:
        """(D, T N, k) as (T, D, N, k)."""
        op = self.op
        if self.directions == 1:
            return op.reshape(rows, [self.time, 1, self.batch, size])
        apart = op.reshape(rows, [self.directions, self.time, self.batch, size])
        return op.Transpose(apart, perm=[1, 0, 2, 3])

    # -- gates ----------------------------------------------------------------------------------

    def gates(self, x: Tensor, count: int) -> list[Tensor]:
        """The last axis in parts, one for each gate."""
        sizes = self.op.vector([self.hidden] * count)
        parts = self.op.split(x, sizes, self.op.rank(x) - 1, count)
        known = self.hidden if isinstance(self.hidden, int) else None
        for part in parts:
            part.value.shape = ir.Shape([*(part.shape or ())[:-1], known])
        return parts

    def biases(self) -> tuple[Tensor, Tensor] | None:
        """(D, 1, gates * hidden) of the products with W, and of those with R."""
        if self.b is None:
            return None
        size = self.op.dims(self.w)[1]
        both = self.op.reshape(self.b, [self.directions, 2, size])
        of_w, of_r = self.op.split(both, self.op.ints(1, 1), 1, 2)
        return of_w, of_r

    def ct_b(self, ct_x: Tensor, ct_h: Tensor) -> Tensor:
        """The cotangent of B from those of the products with W and with R."""
        return self.op.Concat(self.total(ct_x), self.total(ct_h), axis=-1)

    def total(self, x: Tensor) -> Tensor:
        """(T, D, N, k) summed over steps and examples, (D, k); (N, D, k) where these are apart."""
        if self.op.apart:
            return self.op.Transpose(self.op.reduce_sum(x, [0], keepdims=False), perm=[1, 0, 2])
        return self.op.reduce_sum(x, [0, 2], keepdims=False)
