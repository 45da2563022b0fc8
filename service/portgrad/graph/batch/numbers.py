"""Numbers of examples: 0, 1, … along the batch, by which attention picks each example's own mask.

Exporters write `mask[example, place]` as a GatherND of tuples whose first entry is counted by a
Range up to the batch size. The examples stay apart if the tuples pick along the batch axis.
"""

from __future__ import annotations

from portgrad.graph.batch.moves import expanded
from portgrad.graph.batch.reshapes import unsqueezed
from portgrad.graph.batch.states import Along, N, Numbered, State
from portgrad.graph.batch.step import Rules, Step

RULES = Rules()


def concerns(step: Step) -> bool:
    """Whether a node counts the examples, or reads their numbers."""
    counts = step.node.op_type == "Range" and step.sized
    return counts or any(isinstance(state, Numbered) for state in step.states)


@RULES("Range")
def count(step: Step) -> State:
    """0, 1, … up to the batch size."""
    if [list(step.entries(index).flat) for index in range(3)] != [[0], [N], [1]]:
        step.refuse("it computes with the batch size")
    return Numbered(0)


@RULES("Cast", "Identity")
def same(step: Step) -> State:
    """The same numbers."""
    return step.number(0)


@RULES("Unsqueeze")
def unsqueeze(step: Step) -> State:
    """Axes of size 1 appear."""
    return Numbered(unsqueezed(step, step.number(0).axis))


@RULES("Expand")
def repeated(step: Step) -> State:
    """Each number again and again, in its example."""
    return Numbered(expanded(step, step.number(0).axis))


@RULES("Add", "Max", "Min", "Mul", "Sub")
def mixed(step: Step) -> State:
    """Something of numbers and others. Exporters ask for its shape; nothing may read more."""
    axes = {i: s.axis for i, s in enumerate(step.states) if isinstance(s, Numbered | Along)}
    from_last = {step.rank(index) - axis for index, axis in axes.items()}
    if len(from_last) != 1 or step.packed:
        step.refuse("its operands carry the batch on different axes")
    [distance] = from_last
    shapes = [step.shape(index) for index in step.given() if index not in axes]
    if any(len(shape) >= distance and shape[-distance] != 1 for shape in shapes):
        step.refuse("it mixes the numbers of examples with other numbers")
    return Numbered(max(map(step.rank, step.given())) - distance, "mixed")


@RULES("Concat")
def tuples(step: Step) -> State:
    """The number of the example, then other indices of the example."""
    first, *others = step.states
    at = step.number(0).axis
    last = step.rank(0) - 1
    single = step.shape(0)[last] == 1
    own = all(isinstance(state, Along) and state.plain and state.axis == at for state in others)
    if (
        first is None
        or step.axis_attribute(last + 1) != last
        or at == last
        or not single
        or not own
    ):
        step.refuse("it joins the numbers of examples with other numbers")
    return Numbered(at, "tuples")


@RULES("GatherND")
def own(step: Step) -> State:
    """What tuples pick that begin with the number of their example."""
    indices = step.states[1]
    if not (isinstance(indices, Numbered) and indices.kind == "tuples"):
        step.refuse("it picks among the examples")
    step.batch_at(0, 0)
    if step.attribute("batch_dims") or step.packed:
        step.refuse("it picks among the examples")
    return Along(indices.axis)
