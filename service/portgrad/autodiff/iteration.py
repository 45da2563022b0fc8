"""The reverse of a Loop or Scan: another Loop, over the iterations from the last to the first.

The forward node is made to give out the state at the start of each iteration and nothing else. The
reverse body runs the forward body again from there and sweeps it. With T trips, step s of the
reverse is iteration j = T - 1 - s.

    carried    the cotangent of each floating state, and a total for each captured value
    given out  the cotangent of each slice that the iteration read
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from portgrad.autodiff.subgraphs import Subgraph, captured
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
class State:
    """A value that goes from iteration to iteration.

    Attributes:
        initial: the operand that it starts as.
        inside: the body's input.
        after: the body's output.
        final: the node's output.
        ct: the cotangent of `final`, None where none arrived.
    """

    initial: ir.Value
    inside: ir.Value
    after: ir.Value
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
    starts, trips = _save(op, it)
    back = _Reverse(sweep, it, starts=starts, trips=trips, targets=targets, carried=carried)
    read = [scanned for scanned in it.read if scanned.tensor.floating]
    seeds = [op.zeros_like(op.wrap(s.final)) if s.ct is None else s.ct for s in moving]
    totals = [op.zeros_like(op.wrap(target)) for target in targets]
    # The condition is spelt out: without states it would be the last operand, and an empty last
    # operand is dropped, while a Loop must have two.
    on = op.constant(np.array(True))
    results = op.call(
        "Loop",
        [trips.value, on.value, *(x.value for x in (*seeds, *totals))],
        {"body": ir.AttrGraph("body", back.graph())},
        [*carried, *(ir.Value(type=scanned.tensor.value.type) for scanned in read)],
    )
    stacks = zip(results[len(carried) :], read, strict=True)
    unstacked = [_unstacked(op, stack, scanned) for stack, scanned in stacks]
    operands = [*carried, *(scanned.tensor.value for scanned in read)]
    return zip(operands, [*results[: len(carried)], *unstacked], strict=True)


class _Reverse:
    """The body of the reverse loop.

    Args:
        sweep: the sweep of the graph around the loop.
        it: the forward node.
        starts: the state at the start of each iteration, stacked on axis 0.
        trips: the number of iterations.
        targets: captured values that want a cotangent.
        carried: what the carried cotangents are shaped like: initial states, then targets.
    """

    def __init__(
        self,
        sweep: Sweep,
        it: Iterated,
        *,
        starts: Sequence[Tensor],
        trips: Tensor,
        targets: Sequence[ir.Value],
        carried: Sequence[ir.Value],
    ) -> None:
        self._it, self._starts, self._targets = it, starts, targets
        self._back = Subgraph(sweep, "vjp of an iteration")
        self._op = self._back.op
        self._step = self._back.input("step", ir.DataType.INT64, ir.Shape(()))
        self._going = self._back.input("going", ir.DataType.BOOL, ir.Shape(()))
        self._carried = [self._back.input_like("ct", sweep.op.wrap(v)) for v in carried]
        self._at = self._op.Sub(self._op.Sub(trips, 1), self._step)

    def graph(self) -> ir.Graph:
        """The finished body."""
        moving = [state for state in self._it.states if state.floating]
        slices = [value for value in self._it.slices if may_carry(value)]
        found = self._back.cotangents(
            self._it.body,
            self._bound(),
            self._given(),
            [*(state.inside for state in moving), *self._targets, *slices],
        )
        self._back.give(self._going)
        for state, like in zip(moving, self._carried, strict=False):
            self._back.give(found[state.inside], like)
        for target, total in zip(self._targets, self._carried[len(moving) :], strict=True):
            self._back.give(self._op.Add(total, found[target]), total)
        for value in slices:
            self._back.give(found[value])
        return self._back.graph

    def _slice(self, scanned: Scanned) -> Tensor:
        """What iteration `at` read or wrote. From the end, it is what iteration `step` would."""
        place = self._step if scanned.backwards else self._at
        return self._op.Gather(self._op.wrap(scanned.tensor.value), place, axis=scanned.axis)

    def _bound(self) -> list[Tensor]:
        """What the inputs of the forward body are in iteration `at`."""
        states = [self._slice(Scanned(start)) for start in self._starts]
        going = [self._at, self._going] if self._it.counts else []
        return [*going, *states, *(self._slice(scanned) for scanned in self._it.read)]

    def _given(self) -> list[Tensor | None]:
        """The cotangents of the outputs of the forward body in iteration `at`."""
        carried = iter(self._carried)
        states = [next(carried) if state.floating else None for state in self._it.states]
        written = [None if s is None else self._slice(s) for s in self._it.written]
        given = [*([None] if self._it.counts else []), *states, *written]
        # The outputs behind these are the starts that the node was made to give out.
        return [*given, *[None] * (len(self._it.body.outputs) - len(given))]


def _save(op: Vocabulary, it: Iterated) -> tuple[list[Tensor], Tensor]:
    """Make the node give out the state at the start of each iteration; and how many there are."""
    inner = Vocabulary(it.body, op.opset, op.fresh)
    _name_all_outputs(op, it)
    for state in it.states:
        state.inside.type = state.inside.type or state.initial.type
        _refuse_changing_shape(state)
    starts = [_give_out(op, inner, it.node, state.inside) for state in it.states]
    if it.counts:
        trips = op.Shape(_give_out(op, inner, it.node, it.body.inputs[0]), start=0, end=1)
    else:
        trips = op.size(it.read[0].tensor, it.read[0].axis)
    saved = len(starts) + it.counts
    for name in ("scan_output_axes", "scan_output_directions"):
        if name in it.node.attributes:
            ways = [*it.node.attributes[name].as_ints(), *[0] * saved]
            it.node.attributes[name] = ir.AttrInt64s(name, ways)
    return starts, op.Reshape(trips, op.ints())


def _name_all_outputs(op: Vocabulary, it: Iterated) -> None:
    """Outputs that the net leaves out, since more are to follow."""
    expected = len(it.body.outputs) - it.counts
    if len(it.node.outputs) < expected:
        it.node.resize_outputs(expected)
    for value, inside in zip(it.node.outputs, it.body.outputs[int(it.counts) :], strict=True):
        if not value.name:
            value.name, value.type = op.fresh("unused"), inside.type


def _refuse_changing_shape(state: State) -> None:
    """A stack of states needs one shape. Unknown sizes are left to the run."""
    before, after = state.inside.shape or state.initial.shape, state.after.shape
    if before is None or after is None:
        return
    sizes = zip(before, after, strict=False)
    if len(before) != len(after) or any(
        isinstance(a, int) and isinstance(b, int) and a != b for a, b in sizes
    ):
        raise Unsupported(f"its state {state.inside.name!r} changes shape from trip to trip")


def _give_out(op: Vocabulary, inner: Vocabulary, node: ir.Node, value: ir.Value) -> Tensor:
    inner.graph.outputs.append(inner.alias(inner.wrap(value), inner.fresh("start")))
    node.resize_outputs(len(node.outputs) + 1)
    stack = node.outputs[-1]
    stack.name, stack.type = op.fresh("starts"), value.type
    if value.shape is not None:
        stack.shape = ir.Shape([None, *value.shape.dims])
    return op.wrap(stack)


def _unstacked(op: Vocabulary, stack: Tensor, scanned: Scanned) -> Tensor:
    """Slices in the order of the reverse steps, put back along the axis that they were read on."""
    rank = op.rank(scanned.tensor)
    axis = scanned.axis % rank
    order = [*range(1, axis + 1), 0, *range(axis + 1, rank)]
    stack.value.shape = ir.Shape([None] * rank)
    ordered = stack if scanned.backwards else op.reverse(stack, [0])
    moved = ordered if axis == 0 else op.Transpose(ordered, perm=order)
    return op.shaped_as(moved, scanned.tensor)
