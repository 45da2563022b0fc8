"""The reverse of a Loop or Scan: another Loop, over the iterations from the last to the first.

The forward node is made to give out the state at the start of each iteration and nothing else (see
`saving`). The reverse body runs the forward body again from there and sweeps it. With T trips,
step s of the reverse is iteration j = T - 1 - s.

    carried    the cotangent of each floating state, and a total for each captured value
    given out  the cotangent of each slice that the iteration read
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.control.saving import Kept, Rebuilt, Stack, keep
from portgrad.autodiff.control.steady import Carried, Form, forms
from portgrad.autodiff.control.subgraphs import Subgraph, captured, prune
from portgrad.autodiff.infer import Dims, dims_of
from portgrad.autodiff.sweep import Sweep
from portgrad.autodiff.tensor import Tensor, may_carry
from portgrad.autodiff.vocabulary import Vocabulary
from portgrad.errors import Unsupported


@dataclass(frozen=True)
class Scanned:
    """A tensor of which each iteration reads or writes one slice."""

    tensor: Tensor
    axis: int = 0
    backwards: bool = False


@dataclass(frozen=True)
class State(Carried):
    """A value that goes from iteration to iteration.

    Attributes:
        final: the node's output.
        ct: the cotangent of `final`, None where none arrived.
    """

    final: ir.Value
    ct: Tensor | None

    @property
    def floating(self) -> bool:
        """Whether it carries a cotangent."""
        return may_carry(self.initial)


@dataclass(frozen=True)
class Iterated:
    """A Loop or Scan.

    Attributes:
        node: the forward node.
        counts: whether its body takes the number of the iteration and a condition.
        states: what goes from iteration to iteration.
        read: what each iteration reads a slice of.
        written: cotangents of what each iteration writes a slice of, None where none arrived.
    """

    node: ir.Node
    counts: bool
    states: Sequence[State]
    read: Sequence[Scanned]
    written: Sequence[Scanned | None]

    @property
    def body(self) -> ir.Graph:
        """What one iteration does."""
        return self.node.attributes["body"].as_graph()

    @property
    def slices(self) -> Sequence[ir.Value]:
        """The body's inputs that are slices of what is read."""
        return self.body.inputs[len(self.body.inputs) - len(self.read) :]


def reverse(
    sweep: Sweep, it: Iterated, wanted: set[ir.Value]
) -> Iterable[tuple[ir.Value | None, Tensor]]:
    """The cotangents of initial states, of captured values and of what is read."""
    op = sweep.op
    moving = [state for state in it.states if state.floating]
    targets = captured([it.node], wanted)
    carried = [*(state.initial for state in moving), *targets]
    trips = _Trips(op, it)
    read = [scanned for scanned in it.read if scanned.tensor.value in wanted]
    back = _Reverse(sweep, it, _forms(sweep, it), trips=trips.count, targets=targets, read=read)
    seeds = [op.zeros_like(op.wrap(s.final)) if s.ct is None else s.ct for s in moving]
    totals = [op.zeros_like(op.wrap(target)) for target in targets]
    body = back.graph()
    sweep.chosen.update(state.initial for state in moving if state.inside in sweep.chosen)
    # The condition is spelt out: without states it would be the last operand, and an empty last
    # operand is dropped, while a Loop must have two.
    on = op.constant(np.array(True))
    results = op.call(
        "Loop",
        [trips.count.value, on.value, *(x.value for x in (*seeds, *totals))],
        {"body": ir.AttrGraph("body", body)},
        [*carried, *(ir.Value(type=scanned.tensor.value.type) for scanned in read)],
    )
    stacks = zip(results[len(carried) :], read, strict=True)
    unstacked = [_unstacked(op, stack, scanned) for stack, scanned in stacks]
    forward = Rebuilt(op, it.node, counts=it.counts, states=len(it.states))
    for kept in back.starts:
        kept.write(forward)
    trips.write(forward)
    forward.finish()
    operands = [*carried, *(scanned.tensor.value for scanned in read)]
    return zip(operands, [*results[: len(carried)], *unstacked], strict=True)


def _forms(sweep: Sweep, it: Iterated) -> list[Form]:
    """What is known of the shapes of the states. Those of a Scan have to keep theirs."""
    for state in it.states:
        state.inside.type = state.inside.type or state.initial.type
        if state.floating and state.after.type != state.inside.type:
            raise Unsupported(f"its state {state.inside.name!r} changes its type on the way")
    if it.counts:
        return forms(it.body, it.states, sweep.opsets, sweep.op.fresh)
    return [Form(dims_of(s.inside) or dims_of(s.initial), True) for s in it.states]


class _Trips:
    """The number of iterations: how long a stack of their numbers is, or what is read."""

    def __init__(self, op: Vocabulary, it: Iterated) -> None:
        self._numbers = Stack(op, it.body.inputs[0], []) if it.counts else None
        if self._numbers is not None:
            count = op.Shape(op.wrap(self._numbers.stacked), start=0, end=1)
        else:
            count = op.size(it.read[0].tensor, it.read[0].axis)
        self.count = op.Reshape(count, op.ints())

    def write(self, forward: Rebuilt) -> None:
        """Let the forward node give out the numbers."""
        if self._numbers is not None:
            self._numbers.write(forward)


class _Reverse:
    """The body of the reverse loop.

    Args:
        sweep: the sweep of the graph around the loop.
        it: the forward node.
        known: what is known of the shape of each state.
        trips: the number of iterations.
        targets: captured values that want a cotangent.
        read: what is read of which the slices want one.
    """

    def __init__(
        self,
        sweep: Sweep,
        it: Iterated,
        known: Sequence[Form],
        *,
        trips: Tensor,
        targets: Sequence[ir.Value],
        read: Sequence[Scanned],
    ) -> None:
        self._it, self._targets, self._read = it, targets, read
        self._back = Subgraph(sweep, "vjp of an iteration")
        op = self._op = self._back.op
        self.starts: list[Kept] = [
            keep(op, state.inside, form.shape, steady=form.steady)
            for state, form in zip(it.states, known, strict=True)
        ]
        self._step = self._back.input("step", ir.TensorType(ir.DataType.INT64), [])
        self._going = self._back.input("going", ir.TensorType(ir.DataType.BOOL), [])
        self._carried = [
            self._input(state.initial, form.shape)
            for state, form in zip(it.states, known, strict=True)
            if state.floating
        ]
        self._totals = [self._input(target, _sizes(op, target)) for target in targets]
        self._at = op.Sub(op.Sub(trips, 1), self._step)

    def _input(self, value: ir.Value, shape: Dims | None) -> Tensor:
        """The cotangent of a value, which has one shape, as far as it is known, in all steps."""
        assert value.type is not None
        return self._back.input("ct", value.type, shape)

    def graph(self) -> ir.Graph:
        """The finished body."""
        moving = [state for state in self._it.states if state.floating]
        pairs = zip(self._it.slices, self._it.read, strict=True)
        slices = [value for value, scanned in pairs if scanned in self._read]
        found = self._back.cotangents(
            self._it.body,
            self._bound(),
            self._given(),
            [*(state.inside for state in moving), *self._targets, *slices],
            arrived=dict(zip(self._targets, self._totals, strict=True)),
            final=[*self._it.body.outputs[: self._it.counts], *self._it.node.outputs],
        )
        self._back.give(self._going)
        for state, like in zip(moving, self._carried, strict=True):
            self._back.give(found[state.inside], like)
        for target, total in zip(self._targets, self._totals, strict=True):
            self._back.give(found[target], total)
        for value in slices:
            self._back.give(found[value])
        prune(self._back.graph)
        return self._back.graph

    def _slice(self, scanned: Scanned) -> Tensor:
        """What iteration `at` read or wrote. From the end, it is what iteration `step` would."""
        place = self._step if scanned.backwards else self._at
        return self._op.Gather(self._op.wrap(scanned.tensor.value), place, axis=scanned.axis)

    def _bound(self) -> list[Tensor]:
        """What the inputs of the forward body are in iteration `at`."""
        states = [start.read(self._op, self._at) for start in self.starts]
        going = [self._at, self._going] if self._it.counts else []
        return [*going, *states, *(self._slice(scanned) for scanned in self._it.read)]

    def _given(self) -> list[Tensor | None]:
        """The cotangents of the outputs of the forward body in iteration `at`."""
        carried = iter(self._carried)
        states = [next(carried) if state.floating else None for state in self._it.states]
        written = [None if s is None else self._slice(s) for s in self._it.written]
        given = [*([None] if self._it.counts else []), *states, *written]
        # The outputs behind these are those that a node has been made to give out.
        return [*given, *[None] * (len(self._it.body.outputs) - len(given))]


def _sizes(op: Vocabulary, value: ir.Value) -> Dims | None:
    """A tensor's shape, names for what is not known of it: its cotangent keeps it in all steps."""
    if not isinstance(value.type, ir.TensorType):
        return None
    known = dims_of(value)
    return known and [op.fresh("size") if size is None else size for size in known]


def _unstacked(op: Vocabulary, stack: Tensor, scanned: Scanned) -> Tensor:
    """Slices in the order of the reverse steps, put back along the axis that they were read on."""
    rank = op.rank(scanned.tensor)
    axis = scanned.axis % rank
    order = [*range(1, axis + 1), 0, *range(axis + 1, rank)]
    stack.value.shape = ir.Shape([None] * rank)
    ordered = stack if scanned.backwards else op.reverse(stack, [0])
    moved = ordered if axis == 0 else op.Transpose(ordered, perm=order)
    return op.shaped_as(moved, scanned.tensor)
